"""What is in a file that was not completed, because its disk was full or its process was killed."""

from __future__ import annotations

from pathlib import Path


def plays(path: Path) -> bool:
    """Whether a video file holds a picture that can be decoded."""
    import av
    import av.error

    try:
        with av.open(f"file:{path}") as container:
            for packet in container.demux(video=0):
                try:
                    if packet.decode():
                        return True
                except av.error.FFmpegError:
                    continue  # the last one may be cut off
    except (av.error.FFmpegError, OSError, IndexError):  # IndexError: there is no video
        pass
    return False
