"""Training and measuring classifiers: from pictures to the file of weights that `classify` takes."""
