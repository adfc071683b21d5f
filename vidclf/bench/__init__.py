"""Measures vidclf against the loops that it replaces; `vidclf bench` is its command line."""
