"""Video in and out: files and live streams, what FFmpeg decodes and encodes, and how recordings are named."""

# Before PyAV, which every module here imports: both bring their own libxcb, and if PyAV's is loaded first, OpenCV's
# first window never opens (https://github.com/PyAV-Org/PyAV/issues/1050).
import cv2  # noqa: F401
