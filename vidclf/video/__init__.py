"""Video files in and out: what the capture, write and record stages have in common."""

# Before PyAV, which every module here imports: both bring a libxcb of their own, and where PyAV's is loaded first,
# OpenCV's first window never opens (https://github.com/PyAV-Org/PyAV/issues/1050).
import cv2  # noqa: F401
