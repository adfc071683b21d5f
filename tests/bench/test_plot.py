from xml.etree import ElementTree

import pytest

from vidclf.bench.plot import Point, bars, line


@pytest.mark.parametrize("value", [0.003, 1.0, 47.3, 15_000.0])
def test_plots_are_svg_with_every_name_and_value_inside(value):
    points = [Point(f"<{n}> $x$", value * n, value * n / 2, value * n * 1.5) for n in (1, 2, 3)]
    for drawn in (line("t & t", "batch", "crops/s", points), bars("t & t", "crops/s", points)):
        root = ElementTree.fromstring(drawn)
        width, height = (float(side) for side in root.attrib["viewBox"].split()[2:])
        texts = [element for element in root.iter() if element.tag.endswith("}text")]
        words = {element.text or "" for element in texts}
        assert {f"<{n}> $x$" for n in (1, 2, 3)} | {point.words for point in points} <= words
        assert any(each.startswith("t & t") for each in words)
        places = [(float(e.attrib["x"]), float(e.attrib["y"])) for e in texts if "x" in e.attrib]
        assert len(places) >= 6 and all(0 <= x <= width and 0 <= y <= height for x, y in places)


def test_a_plot_of_the_same_figures_is_the_same_file():
    points = [Point.of(2, {"median": 2.0, "min": 1.0, "max": 3.0}), Point.of("4", {"median": 1234.5})]
    assert points == [("2", 2.0, 1.0, 3.0), ("4", 1234.5, 1234.5, 1234.5)]
    assert [point.words for point in points] == ["2", "1234"]
    assert line("t", "batch", "crops/s", points) == line("t", "batch", "crops/s", points)
    assert "crops/s" in line("t", "batch", "crops/s", points)
