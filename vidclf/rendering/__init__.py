"""Made-up clips whose truth is known: pictures of objects moved over backgrounds."""
