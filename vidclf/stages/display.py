"""Display: shows the frames in a window, with keys that control the run."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

from vidclf.errors import UsageError
from vidclf.files import PartFile
from vidclf.frame import Frame, Source
from vidclf.stages._awaited import awaited
from vidclf.stages.annotate import Annotate

if TYPE_CHECKING:
    from vidclf.pipeline import Pipeline
    from vidclf.stages._painter import Painter

log = logging.getLogger(__name__)

Action = Literal["quit", "relearn", "pause", "save"]
KEYS: dict[str, Action] = {"q": "quit", "n": "relearn", " ": "pause", "s": "save"}
LOOK = 0.03  # seconds between two checks of the keys while no frame comes
# Without a screen, Qt ends the whole process, so a separate process has to try.
PROBE = "import cv2; cv2.namedWindow('vidclf'); cv2.destroyAllWindows()"


class Display:
    """Show the frames in a window, one per source; must be the last stage. Frames pass through unchanged.

    Keys: q quits, and logs how many objects were classified and the mean time for one; space pauses; s saves the
    picture as PNG; n relearns the scene, if the pipeline has a background (motion). Closing the window also quits.
    inset: show the classifier's input for the largest object in a corner, three times enlarged at 480 lines.
    overlay: write the frame rate and, for a live source, the lag. folder: where pictures are saved.
    Raises UsageError if there is no screen.
    """

    def __init__(self, inset: bool = True, overlay: bool = True, folder: Path = Path()):
        self.inset, self.overlay, self.folder = inset, overlay, folder
        os.environ.setdefault("QT_LOGGING_RULES", "*.warning=false")  # OpenCV's Qt has no fonts, and needs none
        check_screen()
        self._stop: Callable[[], None] = lambda: None
        self._stopping: Callable[[], bool] = lambda: False
        self._learners: list[Callable[[], None]] = []

    def attach(self, pipeline: Pipeline) -> None:
        """Control this pipeline."""
        self._stop, self._stopping = pipeline.stop, lambda: pipeline.stopping
        self._learners = [stage.relearn for stage in pipeline.stages if hasattr(stage, "relearn")]

    def __call__(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        windows: dict[Source, Window] = {}
        classified, seconds = 0, 0.0  # objects, and what their inference took
        try:
            for frame in awaited(frames, LOOK):
                if frame is None:
                    if windows:
                        self._obey(cv2.waitKeyEx(1), windows)
                    continue
                window = windows.get(frame.source)
                if window is None:
                    window = windows[frame.source] = Window(frame.source, self)
                named = [d.inference for d in frame.detections if d.inference]
                classified += len(named)
                seconds += sum(named)
                window.show(frame)
                self._obey(cv2.waitKeyEx(1), windows)
                yield frame
        finally:
            cv2.destroyAllWindows()
            cv2.waitKey(1)  # windows close only when events are handled
            log.info("%s", summary(classified, seconds))

    def _obey(self, key: int, windows: dict[Source, Window]) -> None:
        """Perform a key's action; returns when the run may continue."""
        action = action_of(key)
        if action is None and any(window.is_closed for window in windows.values()):
            action = "quit"
        if action == "quit":
            self._stop()
        elif action == "relearn":
            for learn in self._learners:
                learn()
        elif action == "save":
            for window in windows.values():
                window.save()
        elif action == "pause":
            self._pause(windows)

    def _pause(self, windows: dict[Source, Window]) -> None:
        """Wait until the space bar is pressed again; the other keys work as usual."""
        while not self._stopping():
            key = cv2.waitKeyEx(int(LOOK * 1000))
            if action_of(key) == "pause":
                return
            self._obey(key, windows)


class Window:
    """One source's window."""

    def __init__(self, source: Source, options: Display):
        self._title, self._options = f"vidclf: {source.name}", options
        self._picture = np.zeros((1, 1, 3), np.uint8)
        self._painter: Painter | None = None
        cv2.namedWindow(self._title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        self._fitted = False

    def show(self, frame: Frame) -> None:
        """Show a copy of a frame, with the window's own overlays."""
        from vidclf.stages._painter import Painter

        height, width = frame.image.shape[:2]
        if not self._fitted:
            cv2.resizeWindow(self._title, width, height)
            self._fitted = True
        if self._painter is None or self._painter.size != (width, height):
            extras = Annotate(boxes=False, labels=False, inset=self._options.inset, fps=self._options.overlay)
            self._painter = Painter(extras, (width, height))
        self._picture = frame.image
        shown = Frame(frame.source, frame.index, frame.pts, frame.image.copy(), frame.detections, frame.captured)
        self._painter.paint(shown)
        cv2.imshow(self._title, shown.image)

    @property
    def is_closed(self) -> bool:
        """Whether the user has closed it; on a Mac 0 means minimised."""
        return cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < (0 if sys.platform == "darwin" else 1)

    def save(self) -> None:
        """Save the picture, without the window's own overlays, to a file named after the time."""
        path = self._options.folder / f"vidclf-{datetime.now():%Y%m%d-%H%M%S-%f}.png"
        try:
            with PartFile(path) as part:
                part.write_bytes(cv2.imencode(".png", self._picture)[1].tobytes())
        except Exception as error:  # a full disk must not end the run
            log.warning("%s", error)
        else:
            log.info("saved %s", path)


def action_of(key: int) -> Action | None:
    """The action of a key from `cv2.waitKeyEx`, which is -1 for none; shift and caps lock do not matter."""
    is_letter = key >= 0 and not key & 0xFF00  # 0xFF51, an arrow, would be a Q; modifier keys set bits above 0xFFFF
    return KEYS.get(chr(key & 0xFF).lower()) if is_letter else None


def summary(count: int, seconds: float) -> str:
    """The number of classified objects and the mean time of one inference, in words."""
    if not count:
        return "no object was classified"
    return f"{count} objects classified, {1000 * seconds / count:.2f} ms each on average"


def check_screen() -> None:
    """Raise UsageError if no window can be shown."""
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        said = "not implemented" in done.stderr
        again = "pip uninstall opencv-python-headless, then pip install --force-reinstall --no-deps opencv-python"
        reason = f"this OpenCV has no windows ({again})" if said else "there is no screen"
        raise UsageError(f"cannot show a window: {reason}; remove the display, or use --serve")
