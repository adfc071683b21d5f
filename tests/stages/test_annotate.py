import cv2
import numpy as np
import pytest

from vidclf.errors import UsageError
from vidclf.frame import Detection, Frame, Source
from vidclf.preprocess import letterbox
from vidclf.stages._drawing import COLOURS, GARMENTS, UNKNOWN, Look, colour_of, colour_of_track
from vidclf.stages._painter import Painter, Rate
from vidclf.stages.annotate import Annotate

WIDTH, HEIGHT = 320, 240
SOURCE = Source("test", (WIDTH, HEIGHT))
COAT = {"label": "Coat", "label_score": 0.912, "ranked": [("Coat", 0.912), ("Shirt", 0.05), ("Bag", 0.01)]}


def frame(*detections, size=(WIDTH, HEIGHT), source=SOURCE, index=0):
    return Frame(source, index, index, np.full((size[1], size[0], 3), 90, np.uint8), list(detections))


def person(box=(100, 80, 180, 200), **more):
    return Detection(box, score=0.87, kind="person", **more)


def draw(*detections, size=(WIDTH, HEIGHT), **options):
    (drawn,) = Annotate(**options)([frame(*detections, size=size)])
    return drawn.image


def changed(image):
    """(x0, y0, x1, y1) around every pixel that is no longer the background's."""
    rows, columns = np.nonzero((image != 90).any(axis=2))
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def bgr(index):
    return tuple(int(COLOURS[index][i : i + 2], 16) for i in (5, 3, 1))


def has(image, index):
    return bool((image == bgr(index)).all(axis=2).any())


@pytest.mark.parametrize(
    ("detection", "options", "expected"),
    [
        (person(), {}, "person 0.87"),
        (person(), {"confidence": False}, "person"),
        (person(**COAT), {}, "Coat 0.91"),
        (person(**COAT, track=7), {}, "#7 Coat 0.91"),
        (person(**COAT, track=7), {"tracks": False}, "Coat 0.91"),
        (person(**COAT), {"top": 2}, "Coat 0.91 / Shirt 0.05"),
        (person(**COAT), {"top": 9, "confidence": False}, "Coat / Shirt / Bag"),
        # a smoothed label need not be this frame's best class
        (person(**(COAT | {"label": "Shirt", "label_score": 0.6})), {"top": 2}, "Shirt 0.60 / Coat 0.91"),
        (person(probabilities=np.full(10, 0.1, np.float32)), {}, "person ?"),
        (person(ranked=COAT["ranked"]), {}, "person ?"),
        (person(ranked=COAT["ranked"]), {"top": 2}, "? Coat 0.91 / Shirt 0.05"),
        (person(label="two\nlines", label_score=1), {}, "two lines 1.00"),
    ],
)
def test_the_words_of_a_caption(detection, options, expected):
    assert Annotate(**options).caption(detection) == expected


def test_the_colour_says_the_label_the_kind_or_the_track():
    coat, unknown = person(**COAT, track=7), person(ranked=COAT["ranked"])
    assert Annotate().colour(coat) == colour_of("Coat")
    assert Annotate().colour(person()) == colour_of("person")
    assert Annotate().colour(unknown) == UNKNOWN
    assert Annotate(colour_by="kind").colour(coat) == colour_of("person")
    assert Annotate(colour_by="track").colour(coat) == colour_of_track(7)
    assert Annotate(colour_by="track").colour(unknown) == UNKNOWN


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"position": "below"}, "position must be one of above, inside, got 'below'"),
        ({"colour_by": "score"}, "colour_by must be one of label, track, kind, got 'score'"),
        ({"inset_corner": "left"}, "inset_corner must be one of top-left, top-right, got 'left'"),
        ({"top": 0}, "top must be 1 to 100 classes, got 0"),
        ({"trail": -1}, "trail must be 0 to 10000 frames, got -1"),
        ({"scale": 0}, "scale must be 0.25 to 8, got 0"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(UsageError) as refusal:
        Annotate(**options)
    assert str(refusal.value) == message


def test_every_frame_passes_and_is_drawn_on_in_place():
    frames = [frame(person(**COAT), index=0), frame(index=1), frame(person(), index=2)]
    images = [f.image for f in frames]
    drawn = list(Annotate()(iter(frames)))
    assert [f.index for f in drawn] == [0, 1, 2]
    assert all(f.image is image for f, image in zip(drawn, images, strict=True))
    assert has(images[0], colour_of("Coat"))
    assert (images[1] == 90).all()
    assert has(images[2], colour_of("person"))


def test_nothing_is_drawn_when_everything_is_off():
    assert (draw(person(**COAT), boxes=False, labels=False) == 90).all()


def test_a_label_keeps_its_colour_in_whatever_order_and_company_it_appears():
    boxes = [(10 + 30 * i, 50, 30 + 30 * i, 200) for i in range(10)]
    for names in (GARMENTS, GARMENTS[::-1], GARMENTS[5:] + GARMENTS[:5]):
        image = draw(*(person(box, label=name) for box, name in zip(boxes, names, strict=True)), labels=False)
        for (x0, _, _, _), name in zip(boxes, names, strict=True):
            assert tuple(image[120, x0]) == bgr(colour_of(name))


def test_the_line_follows_the_box_and_stays_inside_at_the_frames_borders():
    inner = changed(draw(person((100, 80, 180, 200)), labels=False))
    assert all(abs(a - b) <= 2 for a, b in zip(inner, (100, 80, 180, 200), strict=True))
    image = draw(person((0, 0, WIDTH, HEIGHT), **COAT), labels=False)
    for line in (image[0, 5:-5], image[-1, 5:-5], image[5:-5, 0], image[5:-5, -1]):
        assert (line == bgr(colour_of("Coat"))).all()


@pytest.mark.parametrize("position", ["above", "inside"])
@pytest.mark.parametrize("box", [(0, 0, 9, 9), (311, 0, 320, 9), (0, 231, 9, 240), (311, 231, 320, 240)])
def test_captions_at_the_corners_are_whole(box, position):
    whole = changed(draw(person((100, 100, 220, 180), **COAT), boxes=False, position=position))
    corner = changed(draw(person(box, **COAT), boxes=False, position=position))
    assert (corner[2] - corner[0], corner[3] - corner[1]) == pytest.approx(
        (whole[2] - whole[0], whole[3] - whole[1]), abs=1
    )


def test_a_caption_stands_above_or_inside():
    above = changed(draw(person((100, 80, 220, 200)), boxes=False))
    inside = changed(draw(person((100, 80, 220, 200)), boxes=False, position="inside"))
    assert above[3] <= 81
    assert inside[1] > 150
    assert inside[3] <= 201


def test_a_caption_too_long_for_the_frame_is_shortened():
    image = draw(person(label="long " * 50), boxes=False)
    x0, _, x1, _ = changed(image)
    assert x1 - x0 > 0.9 * WIDTH
    assert tuple(image[changed(image)[1] + 1, x1 - 1]) == bgr(colour_of("long " * 50))  # its right margin is there


@pytest.mark.skipif(int(cv2.__version__.split(".")[0]) < 5, reason="OpenCV 4's font has only ASCII")
@pytest.mark.parametrize(("one", "other"), [("Schürze", "Schörze"), ("外套", "上衣"), ("Юбка", "Шуба")])
def test_names_in_any_script_are_written(one, other):
    # Letters the font lacks would all be the same question mark.
    images = [draw(person(label=name), colour_by="kind") for name in (one, other)]
    assert (images[0] != images[1]).any()


def test_masks_are_tinted_where_they_are_true():
    mask = np.zeros((120, 80), bool)
    mask[:60] = True
    image = draw(person(mask=mask, **COAT), boxes=False, labels=False, masks=True)
    assert changed(image) == (100, 80, 180, 140)
    expected = [round(0.6 * 90 + 0.4 * channel) for channel in bgr(colour_of("Coat"))]
    assert tuple(image[100, 140]) == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("corner", ["top-left", "top-right"])
@pytest.mark.parametrize("shape", [(28, 28), (64, 64, 3)])
def test_the_inset_shows_what_the_classifier_saw_of_the_largest_object(shape, corner):
    small, large = np.random.default_rng(1).integers(0, 256, (2, *shape), np.uint8)
    detections = [person((5, 200, 25, 230), crop=small), person(crop=large)]
    image = draw(*detections, boxes=False, labels=False, inset=True, inset_corner=corner)
    side = Look.of(WIDTH, HEIGHT).inset
    x0, y0, x1, y1 = changed(image)
    line = (x1 - x0 - side) // 2
    shown = image[y0 + line : y1 - line, x0 + line : x1 - line]
    large = large if large.ndim == 3 else cv2.cvtColor(large, cv2.COLOR_GRAY2BGR)
    assert (shown == cv2.resize(large, (side, side), interpolation=cv2.INTER_NEAREST)).all()
    assert x0 < 20 if corner == "top-left" else x1 > WIDTH - 20
    assert y0 < 20


def test_there_is_no_inset_without_a_crop():
    assert (draw(person(), boxes=False, labels=False, inset=True) == 90).all()


def test_the_rate_is_written_from_the_second_frame_on_in_the_insets_free_corner():
    first, second = Annotate(fps=True)([frame(index=0), frame(index=1)])
    assert (first.image == 90).all()
    assert changed(second.image)[0] < 10
    _, second = Annotate(fps=True, inset_corner="top-left")([frame(index=0), frame(index=1)])
    assert changed(second.image)[2] > WIDTH - 10


def test_the_rate_is_that_of_the_last_two_seconds():
    rate = Rate()
    assert rate.tick(0.0) == 0
    assert [rate.tick(n / 10) for n in range(1, 30)][-1] == pytest.approx(10)
    assert [rate.tick(2.9 + n / 50) for n in range(1, 150)][-1] == pytest.approx(50)
    assert rate.tick(100.0) < 0.02


def test_trails_follow_tracked_objects_and_each_source_has_its_own():
    def walk(source):
        return [frame(person((i * 10, 100, i * 10 + 20, 150), track=1), source=source, index=i) for i in range(10)]

    left, right = walk(Source("left", (WIDTH, HEIGHT))), walk(Source("right", (WIDTH, HEIGHT)))
    untracked = frame(person((200, 20, 240, 60)))
    mixed = [f for pair in zip(left, right, strict=True) for f in pair] + [untracked]
    drawn = list(Annotate(boxes=False, labels=False, trail=30)(iter(mixed)))
    x0, y0, x1, y1 = changed(drawn[-2].image)
    assert abs(x0 - 10) <= 2
    assert abs(x1 - 100) <= 2
    assert abs(y0 - 150) <= 2
    assert abs(y1 - 150) <= 3
    assert (drawn[-3].image == drawn[-2].image).all()
    assert (drawn[-1].image == 90).all()


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (16, 16), (64, 3), (3, 64), (41, 27)])
def test_the_smallest_frames_are_survived(size):
    picture = letterbox(np.full((9, 9), 200, np.uint8), 28, 28)
    box = (0, 0, *size)
    detection = person(box, crop=picture, mask=np.ones(size[::-1], bool), track=1, **COAT)
    stage = Annotate(masks=True, inset=True, fps=True, trail=5, scale=8)
    assert len(list(stage([frame(detection, size=size, index=i) for i in range(3)]))) == 3


def test_a_frame_of_another_size_is_drawn_in_its_own_measure():
    sizes = [(320, 240), (1280, 960), (320, 240)]
    frames = [frame(person((50, 60, 150, 200)), size=size, index=i) for i, size in enumerate(sizes)]
    first, large, last = (changed(f.image) for f in Annotate(boxes=False)(iter(frames)))
    assert first == last
    assert large[3] - large[1] > 1.5 * (first[3] - first[1])


def test_a_trail_forgets_what_is_older_and_those_who_left():
    frames = [frame(person((i * 4, 100, i * 4 + 20, 150), track=i // 30), index=i) for i in range(60)]
    stage = Annotate(boxes=False, labels=False, trail=5)
    x0, _, x1, _ = changed(list(stage(iter(frames)))[-1].image)
    assert abs(x0 - (55 * 4 + 10)) <= 2
    assert abs(x1 - (59 * 4 + 10)) <= 2
    painter = Painter(stage, (WIDTH, HEIGHT))
    for index in range(600):
        painter.paint(frame(person(track=index), index=index))
    assert len(painter.trails) < 300
