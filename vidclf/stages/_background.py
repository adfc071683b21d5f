"""Models of a scene's background: three ways to learn it, and to find what differs from it."""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np

SHADOW = 0.7  # a shadow is a pixel at least this bright relative to its background; darker means an object
NOISE = 36.0  # minimum variance of a pixel: codecs make still pixels so quiet that the slightest change would show
GHOST = 1.1  # an outline this many times sharper in the background than in the picture is left by a gone object
WINDOW = 5  # levels of the tone curve that must agree
ROUND3 = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
ROUND5 = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
SQUARE3 = np.ones((3, 3), np.uint8)


class Background(Protocol):
    """Learns a background from pictures of one size; its constructor takes the first of them."""

    def picture(self) -> np.ndarray:
        """The background now, (height, width, 3) uint8."""
        ...

    def foreground(self, image: np.ndarray) -> np.ndarray:
        """Which pixels do not belong to the background, cleaned of specks: (height, width) uint8, 0 or 255."""
        ...

    def learn(self, image: np.ndarray) -> None:
        """Let the background become a little more like `image`."""
        ...


class Mog2:
    """A mixture of Gaussians a pixel (Zivkovic 2004, OpenCV's MOG2)."""

    def __init__(self, image: np.ndarray, history: int, threshold: float, shadows: bool):
        self._history, self._seen = history, 1
        self._model = cv2.createBackgroundSubtractorMOG2(history, threshold, detectShadows=not shadows)
        self._model.setShadowThreshold(SHADOW)
        self._model.setVarMin(NOISE)
        self._model.setVarInit(NOISE)
        self._model.apply(image)

    def picture(self) -> np.ndarray:
        return self._model.getBackgroundImage()

    def foreground(self, image: np.ndarray) -> np.ndarray:
        return _tidy(self._model.apply(image, learningRate=0))

    def learn(self, image: np.ndarray) -> None:
        self._seen += 1
        self._model.apply(image, learningRate=1 / min(2 * self._seen, self._history))


class Knn:
    """The nearest of a pixel's earlier values (Zivkovic and van der Heijden 2006, OpenCV's KNN).

    It cannot classify pixels without learning, so it learns objects that stand still at its own pace.
    """

    def __init__(self, image: np.ndarray, history: int, threshold: float, shadows: bool):
        self._model = cv2.createBackgroundSubtractorKNN(history, threshold, detectShadows=not shadows)
        self._model.setShadowThreshold(SHADOW)
        for _ in range(8):  # until it has seen a picture several times, everything is foreground
            self._model.apply(image)

    def picture(self) -> np.ndarray:
        return self._model.getBackgroundImage()

    def foreground(self, image: np.ndarray) -> np.ndarray:
        return _tidy(self._model.apply(image))

    def learn(self, image: np.ndarray) -> None:
        pass


class Reference:
    """One reference picture, and the difference from it: the webcam demo of LucasVandroux/Fashion-MNIST-PyTorch.

    adapt: the weight of each new picture in the reference; 0 = it never changes, as in that demo.
    """

    def __init__(self, image: np.ndarray, threshold: float, adapt: float):
        self._mean = image.astype(np.float32)
        self._threshold, self._adapt = threshold, adapt

    def picture(self) -> np.ndarray:
        return cv2.convertScaleAbs(self._mean)

    def foreground(self, image: np.ndarray) -> np.ndarray:
        difference = cv2.cvtColor(cv2.absdiff(image, self.picture()), cv2.COLOR_BGR2GRAY)
        _, mask = cv2.threshold(cv2.GaussianBlur(difference, (5, 5), 0), self._threshold, 255, cv2.THRESH_BINARY)
        mask = cv2.erode(cv2.dilate(mask, SQUARE3), SQUARE3)
        return cv2.dilate(mask, SQUARE3, iterations=2)

    def learn(self, image: np.ndarray) -> None:
        if self._adapt:
            cv2.accumulateWeighted(image, self._mean, self._adapt)


class Scene:
    """One source's background, adapted to changing light, and how long objects have stood in front of it.

    hold: frames for which an object is not learned; follow: whether to adapt to the light and to recognise ghosts.
    """

    def __init__(self, background: Background, image: np.ndarray, hold: int, follow: bool):
        self.shape = image.shape
        self._background, self._hold, self._follow = background, hold, follow
        self._age = np.zeros(image.shape[:2], np.int32)  # frames with an object, less ten for each without
        self._still = self._age == 0  # pixels that belonged to the background in the last frame
        # The latest picture: as it came, adjusted to the background's light, and its background.
        self._image = self._seen = self._picture = image

    def look(self, image: np.ndarray) -> np.ndarray:
        """Which pixels of the next picture are not background: (height, width) uint8, 0 or 255."""
        self._image, self._picture = image, self._background.picture()
        self._seen = match_light(image, self._picture, self._still) if self._follow else image
        return self._background.foreground(self._seen)

    def is_ghost(self, parts: list[np.ndarray]) -> bool:
        """Whether these outlines, found in the latest picture, belong to something that has left.

        An object that stood there when the background was learned is part of the background, so its place differs
        forever; but the edge along the outline is then in the background, and not in the picture.
        """
        if not self._follow:
            return False
        x, y, columns, rows = cv2.boundingRect(np.concatenate(parts))
        left, top = max(0, x - 4), max(0, y - 4)
        around = np.s_[top : y + rows + 4, left : x + columns + 4]
        outline = np.zeros(self._seen[around].shape[:2], np.uint8)
        cv2.drawContours(outline, parts, -1, 255, 3, offset=(-left, -top))
        now, then = (cv2.mean(_edges(picture[around]), outline)[0] for picture in (self._seen, self._picture))
        return then > GHOST * now

    def learn(self, objects: np.ndarray, ghosts: np.ndarray) -> None:
        """Learn the latest picture, except where objects are; both masks (height, width) uint8, 0 or 255."""
        there = cv2.dilate(objects, ROUND5) > 0
        self._still = ~there & (ghosts == 0)
        # Counted down, not reset: a half-learned object flickers, and must not start a new hold each time.
        self._age += np.where(there, np.int32(1), np.int32(-10))
        np.clip(self._age, 0, 2 * self._hold + 1, out=self._age)
        # Learn a tenth of the change of light, so that the background drifts towards it: otherwise the noise of an
        # evening picture would always be stretched to noon's contrast.
        lesson = cv2.addWeighted(self._seen, 0.9, self._image, 0.1, 0) if self._follow else self._image.copy()
        held = there & (self._age <= self._hold)
        cv2.copyTo(self._picture, held.astype(np.uint8), lesson)
        self._background.learn(lesson)


def match_light(image: np.ndarray, background: np.ndarray, still: np.ndarray) -> np.ndarray:
    """Undo a change of the light or of the camera's exposure: give `image` the tones of `background`.

    An object that enters can make a camera change its exposure, which changes the whole picture by a monotone tone
    curve. This measures the curve per colour channel: the median of the current values, for each of 16 levels of the
    background, over a sample of the pixels that were `still` (bool) a frame ago.
    """
    step = max(1, min(image.shape[:2]) // 90)
    still = still[::step, ::step]
    channels = range(image.shape[2])
    samples = ((image[::step, ::step, c][still], background[::step, ::step, c][still]) for c in channels)
    return cv2.LUT(image, np.stack([_tone_curve(now, then) for now, then in samples], axis=-1)[None])


def _tone_curve(now: np.ndarray, then: np.ndarray, least: int = 40) -> np.ndarray:
    """(256,) uint8: for each current value, the earlier one; from two (n,) uint8 samples of the same pixels."""
    # Counting sort, since there are few values: by level (the upper four bits), then by current value.
    by_level = np.cumsum(np.bincount((then & 0xF0).astype(np.intp) << 4 | now, minlength=16 * 256))
    edges = np.concatenate([[0], by_level[255::256]])
    counts, middles = np.diff(edges), (edges[:-1] + edges[1:]) // 2
    seen = middles[counts >= least]
    if len(seen) < 3:
        return np.arange(256, dtype=np.uint8)
    past = np.searchsorted(np.cumsum(np.bincount(then, minlength=256)), seen, side="right").astype(float)
    change = (np.searchsorted(by_level, seen, side="right") & 255) - past
    # Light changes neighbouring levels alike; a level that differs from both neighbours is dominated by an object.
    first = np.clip(np.arange(len(change)) - WINDOW // 2, 0, max(0, len(change) - WINDOW))
    change = np.median(change[first[:, None] + np.arange(min(WINDOW, len(change)))], axis=1)
    today = np.maximum.accumulate(past + change) + np.arange(len(past)) * 1e-3  # strictly rising, so that it inverts
    white = max(today[-1] + 1, 255 * today[-1] / max(1, past[-1]))  # beyond the brightest level, light is in proportion
    today, past = np.concatenate([[min(-1, today[0] - 1)], today, [white]]), np.concatenate([[0], past, [255]])
    return np.rint(np.interp(np.arange(256), today, past)).astype(np.uint8)


def _edges(picture: np.ndarray) -> np.ndarray:
    """The gradient of each pixel, after smoothing away texture: (height, width) float32."""
    grey = cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), (0, 0), 1.5)
    across, down = cv2.spatialGradient(grey)
    return cv2.magnitude(across.astype(np.float32), down.astype(np.float32))


def _tidy(labels: np.ndarray) -> np.ndarray:
    """Foreground (255; shadows are 127) without specks and with cracks closed."""
    _, mask = cv2.threshold(labels, 200, 255, cv2.THRESH_BINARY)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, ROUND3)
    return cv2.morphologyEx(mask, cv2.MORPH_CLOSE, ROUND5)
