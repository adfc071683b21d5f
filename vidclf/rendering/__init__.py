"""Synthetic clips with known ground truth: pictures of objects that move over backgrounds."""
