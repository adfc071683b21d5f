import cv2
import numpy as np
import pytest

from vidclf.stages._drawing import COLOURS, GARMENTS, UNKNOWN, Look, colour_of, colour_of_track, place, text_colour


def test_no_two_garments_share_a_colour_and_none_is_the_grey_of_the_unknown():
    indices = {colour_of(name) for name in GARMENTS}
    assert len(indices) == 10
    assert UNKNOWN not in indices
    assert len(set(COLOURS)) == len(COLOURS)


def test_the_colour_of_a_name_depends_on_nothing_but_the_name():
    # A number, not a comparison with itself: Python's own hash() would differ from run to run.
    assert [colour_of(name) for name in ("Coat", "person", "motion", "外套")] == [4, 4, 8, 3]
    assert colour_of("ANKLE BOOT") == colour_of("Ankle boot") == 9


def test_neighbouring_tracks_differ():
    assert all(colour_of_track(n) != colour_of_track(n + 1) for n in range(100))
    assert all(0 <= colour_of_track(n) < UNKNOWN for n in range(100))


@pytest.mark.parametrize("colour", COLOURS)
def test_text_is_legible_on_every_colour(colour):
    def luminance(hexadecimal):
        channels = np.array([int(hexadecimal[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return linear @ (0.2126, 0.7152, 0.0722)

    low, high = sorted((luminance(colour), luminance(text_colour(colour))))
    assert (high + 0.05) / (low + 0.05) >= 4.5  # WCAG 2.1, level AA


@pytest.mark.parametrize(
    ("size", "least", "most"), [((426, 240), 9, 12), ((640, 360), 9, 12), ((1280, 720), 12, 18), ((3840, 2160), 36, 54)]
)
def test_capitals_can_be_read_at_every_size(size, least, most):
    look = Look.of(*size)
    canvas = np.zeros((100, 100), np.uint8)
    cv2.putText(canvas, "H", (10, 80), cv2.FONT_HERSHEY_SIMPLEX, look.text, 255, look.weight)
    assert least <= np.ptp(np.nonzero(canvas > 127)[0]) + 1 <= most


def test_sizes_follow_the_shorter_side_and_the_factor():
    assert Look.of(1280, 720) == Look.of(720, 1280)
    assert Look.of(1280, 720, scale=2).text == 2 * Look.of(1280, 720).text
    assert Look.of(640, 480).inset == 3 * 28


FRAME = (200, 100)


@pytest.mark.parametrize(
    ("box", "position", "expected"),
    [
        ((50, 40, 90, 90), "above", (50, 30, 90, 40)),
        ((50, 40, 90, 90), "inside", (50, 80, 90, 90)),
        ((50, 0, 90, 60), "above", (50, 0, 90, 10)),  # no room above: inside at the top
        ((180, 40, 200, 90), "above", (160, 30, 200, 40)),  # no room to the right: moved left
        ((50, 5, 90, 15), "inside", (50, 15, 90, 25)),  # inside it would hide the object, above is no room: below
        ((0, 0, 200, 100), "above", (0, 0, 40, 10)),
    ],
)
def test_a_caption_stays_at_its_box_and_inside_the_frame(box, position, expected):
    assert place([(40, 10)], [box], FRAME, position) == [expected]


def test_captions_keep_clear_of_each_other_and_of_what_is_taken():
    boxes = [(50 + 5 * i, 40, 90 + 5 * i, 90) for i in range(4)]
    taken = (0, 30, 200, 40)
    plates = [taken, *place([(40, 10)] * 4, boxes, FRAME, taken=[taken])]
    canvas = np.zeros(FRAME[::-1], int)
    for x0, y0, x1, y1 in plates:
        canvas[y0:y1, x0:x1] += 1
    assert canvas.max() == 1


def test_where_nothing_is_free_a_caption_hides_as_little_as_it_can():
    everywhere_but = [(0, 0, 200, 95)]
    assert place([(40, 10)], [(50, 40, 90, 100)], FRAME, taken=everywhere_but) == [(50, 90, 90, 100)]


def test_a_caption_larger_than_the_frame_begins_at_its_corner():
    assert place([(300, 150)], [(50, 40, 90, 90)], FRAME) == [(0, 0, 300, 150)]
