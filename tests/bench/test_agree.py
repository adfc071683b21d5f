from vidclf.bench.agree import agreement
from vidclf.scoring import box_iou

PERSON, OTHER = (10, 10, 30, 60), (100, 10, 130, 60)


def test_the_same_is_the_same():
    seen = [[(PERSON, "Coat"), (OTHER, "Bag")], [], [(PERSON, "Coat")]]
    assert agreement(seen, seen) == {"objects": 3, "boxes": 1.0, "boxes_and_labels": 1.0}
    assert agreement([], []) == {"objects": 0, "boxes": 1.0, "boxes_and_labels": 1.0}


def test_each_way_to_differ_counts():
    ours = [[(PERSON, "Coat"), (OTHER, "Bag")], [(PERSON, "Coat")]]
    other_label = [[(PERSON, "Coat"), (OTHER, "Shirt")], [(PERSON, "Coat")]]
    assert agreement(ours, other_label) == {"objects": 3, "boxes": 1.0, "boxes_and_labels": 2 / 3}
    missing = [[(PERSON, "Coat")], [(PERSON, "Coat")]]
    assert agreement(ours, missing)["boxes"] == agreement(missing, ours)["boxes"] == 2 / 3
    shorter = [[(PERSON, "Coat"), (OTHER, "Bag")]]
    assert agreement(ours, shorter)["boxes"] == 2 / 3
    moved = [[((14, 10, 34, 60), "Coat"), (OTHER, "Bag")], [(PERSON, "Coat")]]  # an intersection over union of 2/3
    assert agreement(ours, moved)["boxes"] == 2 / 4


def test_a_pixel_at_the_border_is_no_difference():
    assert agreement([[(PERSON, "Coat")]], [[((10, 10, 30, 61), "Coat")]])["boxes"] == 1.0


def test_of_two_that_overlap_each_finds_its_own():
    left, right = (0, 0, 100, 100), (3, 0, 103, 100)
    assert box_iou([left], [right]) > 0.9
    assert agreement([[(left, "Coat"), (right, "Bag")]], [[(right, "Bag"), (left, "Coat")]])["boxes_and_labels"] == 1.0
