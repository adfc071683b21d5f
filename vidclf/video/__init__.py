"""Video files in and out: what the capture, write and record stages have in common."""
