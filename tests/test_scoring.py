import pytest

from vidclf.errors import UsageError
from vidclf.records import RecordRow, TruthRow
from vidclf.scoring import assign, box_iou, compare, match, score_files

BOX = (0, 0, 10, 10)
FAR = (100, 100, 110, 110)


def true(frame, name="a", label="Coat", box=BOX, time=None):
    return TruthRow(frame, frame / 10 if time is None else time, name, box, label)


def found(frame, label="Coat", score=0.9, box=BOX):
    return RecordRow(frame, box, label, score)


def test_overlap():
    boxes = [(0, 0, 10, 10), (5, 0, 15, 10), (10, 0, 20, 10), (0, 0, 20, 10)]
    assert box_iou([BOX], boxes).tolist() == [[1, pytest.approx(1 / 3), 0, 0.5]]
    assert box_iou([(5, 5, 5, 5)], [(5, 5, 5, 5), BOX]).tolist() == [[0, 0]]
    assert box_iou([], boxes).shape == (0, 4) and box_iou(boxes, []).shape == (4, 0)


def test_without_boxes_there_are_no_pairs():
    assert assign(box_iou([BOX], []), 0.5) == assign(box_iou([], []), 0.5) == []
    assert assign(box_iou([FAR, BOX], [BOX]), 0.5) == [(1, 0)]


def test_a_perfect_record():
    score = compare([found(n, score=1.0) for n in range(5)], [true(n) for n in range(5)])
    assert score.to_dict() == {
        "detection_recall": 1,
        "detection_precision": 1,
        "box_accuracy": 1,
        "object_accuracy": 1,
        "abstained": 0,
        "label_changes_per_minute": 0,
        "ece": 0,
        "objects": 1,
        "boxes": 5,
    }


def test_figures_worked_out_by_hand():
    # Object a, a coat, lives from 0 s to 3 s: found 4 times of 4 as Coat, Shirt, (abstained), Coat: 2 changes, right.
    # Object b, a bag, from 0 s to 1 s: found once of 2 as Coat: wrong. Object c: never found. Two boxes
    # lie where nothing is.
    truth = [true(n, "a", time=n) for n in range(4)]
    truth += [true(n, "b", "Bag", FAR, time=n) for n in range(2)] + [true(9, "c", "Dress", time=9)]
    record = [found(0), found(1, "Shirt", 0.6), found(2, "", 0.4), found(3)]
    record += [found(0, "Coat", 0.7, FAR), found(2, "Bag", 0.8, FAR), found(8)]
    score = compare(record, truth)
    assert (score.objects, score.boxes) == (3, 7)
    assert score.detection_recall == pytest.approx(5 / 7)
    assert score.detection_precision == pytest.approx(5 / 7)
    assert score.box_accuracy == pytest.approx(2 / 5)
    assert score.object_accuracy == pytest.approx(1 / 3)
    assert score.abstained == pytest.approx(1 / 5)
    assert score.label_changes_per_minute == pytest.approx(2 / 4 * 60)  # lives of 3 s, 1 s and 0 s
    # Bins of 1/15: 0.9 twice, both right; 0.6 wrong; 0.7 wrong.
    assert score.ece == pytest.approx((2 * 0.1 + 0.6 + 0.7) / 4)


def test_a_box_counts_from_the_given_overlap_on():
    truth, record = [true(0)], [found(0, box=(0, 0, 20, 10))]  # overlap 0.5
    assert compare(record, truth).detection_recall == 1
    assert compare(record, truth, iou=0.51).detection_recall == 0


def test_boxes_match_only_within_their_frame_and_once():
    assert compare([found(1)], [true(0)]).detection_recall == 0
    score = compare([found(0), found(0)], [true(0)])
    assert (score.detection_recall, score.detection_precision) == (1, 0.5)


@pytest.mark.parametrize("order", [1, -1])
def test_the_assignment_is_the_best_one_whatever_the_order(order):
    # The first recorded box lies closest to the first true one, but then the second would match nothing.
    left, right = (0, 0, 10, 10), (4, 0, 14, 10)
    middle, outer = (1, 0, 11, 10), (-4, 0, 6, 10)
    truth = [true(0, "left", box=left), true(0, "right", box=right)][::order]
    pairs = match([found(0, box=middle), found(0, box=outer)][::order], truth, iou=0.4)
    assert {(t.object, r.box) for t, r in pairs} == {("left", outer), ("right", middle)}
    # Where every box finds a partner either way, the closest pairs count.
    near = [found(0, box=(0, 0, 10, 11)), found(0, box=(4, 0, 14, 11))][::order]
    pairs = match(near, truth, iou=0.1)
    assert {(t.object, r.box[0]) for t, r in pairs} == {("left", 0), ("right", 4)}


@pytest.mark.parametrize(
    ("labels", "right"),
    [
        (["Coat", "Coat", "Shirt"], True),
        (["Coat", "Shirt", "Shirt"], False),
        (["Coat", "", "", ""], True),  # abstentions do not vote
        (["", "", ""], False),
    ],
)
def test_the_majority_over_its_life_names_an_object(labels, right):
    record = [found(n, label) for n, label in enumerate(labels)]
    assert compare(record, [true(n) for n in range(len(labels))]).object_accuracy == right


@pytest.mark.parametrize(("sureness", "right"), [(0.95, True), (0.5, False)])
def test_of_two_equally_frequent_labels_the_surer_one_counts(sureness, right):
    record = [found(0, "Shirt", 0.7), found(1, "Coat", sureness)]
    assert compare(record, [true(0), true(1)]).object_accuracy == right


def test_changes_are_counted_along_each_object_in_frame_order():
    truth = [true(n, "a") for n in range(7)] + [true(n, "b", "Bag", FAR) for n in range(7)]
    labels = ["Coat", "Coat", "Shirt", "", "Shirt", "Coat", "Coat"]  # two changes in 0.6 s
    record = [found(n, label) for n, label in enumerate(labels)] + [found(n, "Bag", box=FAR) for n in range(7)]
    assert compare(record[::-1], truth[::-1]).label_changes_per_minute == pytest.approx(2 / 1.2 * 60)


def test_what_cannot_be_measured_is_none():
    score = compare([], [true(0)])
    assert (score.detection_recall, score.object_accuracy) == (0, 0)
    assert score.detection_precision is score.box_accuracy is score.abstained is score.ece is None
    assert score.label_changes_per_minute is None  # it lived for one frame
    assert compare([found(0, box=FAR)], [true(0)]).detection_precision == 0


def test_a_record_without_a_classifier_abstains_everywhere():
    score = compare([found(n, "", 0.0) for n in range(3)], [true(n) for n in range(3)])
    assert (score.detection_recall, score.abstained, score.box_accuracy, score.object_accuracy) == (1, 1, 0, 0)
    assert score.ece is None


@pytest.mark.parametrize("iou", [0, -1, 1.01, float("nan")])
def test_a_wrong_overlap_is_refused(iou):
    with pytest.raises(UsageError, match="iou must be above 0 and at most 1, got"):
        compare([found(0)], [true(0)], iou)


def test_files_are_scored_like_their_rows(tmp_path):
    record, truth = tmp_path / "a.csv", tmp_path / "a.truth.jsonl"
    record.write_text("source,frame,x0,y0,x1,y1,label,label_score\nv.mp4,0,0,0,10,10,Coat,0.9\n")
    truth.write_text('{"frame": 0, "time": 0, "object": 0, "x0": 0, "y0": 0, "x1": 10, "y1": 10, "label": "Coat"}\n')
    assert score_files(record, truth) == compare([found(0)], [true(0)])


def test_no_truth_is_refused():
    with pytest.raises(UsageError, match="there is no truth to compare with"):
        compare([found(0)], [])
