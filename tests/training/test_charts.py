import re
from xml.etree import ElementTree

import pytest

from vidclf.training.charts import curves, highest, nice_ticks, reliability


def test_ticks_are_round_and_enclose_the_values() -> None:
    assert nice_ticks(0.31, 0.78) == [0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    assert nice_ticks(86.27, 93.0) == [86, 88, 90, 92, 94]
    assert nice_ticks(1, 64) == [0, 20, 40, 60, 80]
    assert nice_ticks(5, 5) == [5, 6]
    assert nice_ticks(0, 0) == [0, 0.2]


def test_a_curve_goes_through_its_points() -> None:
    svg = ElementTree.fromstring(curves([("training", [(1, 1.0), (2, 0.0)]), ("validation", [(2, 0.5)])]))
    line = next(path.get("d", "") for path in svg.iter("path") if path.get("class") == "one")
    (x0, y0), (x1, y1) = [map(float, point) for point in re.findall(r"([\d.]+) ([\d.]+)", line)]
    assert x0 < x1 and y0 < y1  # SVG's y grows downwards
    half = next(dot for dot in svg.iter("circle") if dot.get("class") == "two")
    assert float(half.get("cy", 0)) == pytest.approx((y0 + y1) / 2, abs=0.1)
    assert [title.text for title in svg.iter("title")] == ["epoch 1: training 1", "epoch 2: training 0, validation 0.5"]


def test_the_highest_value_is_no_outlier() -> None:
    assert highest([2.3, 1.0, 0.7, 0.5, 0.3]) == 2.3
    assert highest([80.0, 2.3, 1.0, 0.7, 0.5, 0.3]) == 2.3
    assert highest([0.0, 0.0, 0.0, 9.0]) == 0.0
    assert highest([80.0]) == 80.0


def test_an_outlier_leaves_the_scale_but_is_told() -> None:
    loss = [(epoch, 1 / epoch) for epoch in range(1, 21)]
    lines = [("training", loss), ("validation", [(1, 80.123), *loss[1:]])]
    svg = ElementTree.fromstring(curves(lines, cut=True))
    ticks = [text.text for text in svg.iter("text") if text.get("text-anchor") == "end"]
    assert ticks[-3:] == ["0.8", "1", "epoch"]
    paths = {path.get("class"): path.get("d", "") for path in svg.iter("path")}
    heights = {name: float(paths[name].split()[1].partition("L")[0]) for name in ("one", "two")}  # at epoch 1
    assert heights["one"] == 10 and heights["two"] < 0  # at the upper edge, and outside the picture
    assert "epoch 1: training 1, validation 80.123" in [title.text for title in svg.iter("title")]
    assert ">80<" in curves(lines)


def test_a_single_epoch_and_an_empty_line_can_be_drawn() -> None:
    svg = ElementTree.fromstring(curves([("training", []), ("validation", [(1, 93.0)])], " %"))
    assert [dot.get("class") for dot in svg.iter("circle")] == ["two"]
    assert [title.text for title in svg.iter("title")] == ["epoch 1: validation 93 %"]


def test_a_reliability_diagram_has_a_dot_a_bin_and_names_are_only_text() -> None:
    svg = ElementTree.fromstring(reliability([("<b>", [(0.5, 0.25, 100), (0.9, 1.0, 300)])]))
    low, high = svg.iter("circle")
    assert float(low.get("cy", 0)) > float(high.get("cy", 0))
    assert float(low.get("r", 0)) < float(high.get("r", 0))
    assert low[0].text == "<b>: confidence 50.0%, accuracy 25.0%, 100 pictures"
