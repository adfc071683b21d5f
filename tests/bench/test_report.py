"""The page of figures is made of the figures: what stands in it is what the script makes of the JSON beside it."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from vidclf.bench.plot import Point, bars, line
from vidclf.bench.report import REGION, fill_in, table, within

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
SPREAD = {"median": 2.0, "min": 1.0, "max": 3.0}


def test_the_page_says_what_the_figures_say():
    files = fill_in(PAGE)
    assert len(REGION.findall(PAGE.read_text(encoding="utf-8"))) >= 3
    for path, content in files.items():
        assert path.read_text(encoding="utf-8") == content, f"run: python -m vidclf.bench.report {PAGE.name}"


def test_no_figures_or_plots_lie_about_that_the_page_does_not_show():
    shown = {path.name for path in fill_in(PAGE)} | {
        f"{name}.json" for _, name, _ in REGION.findall(PAGE.read_text(encoding="utf-8"))
    }
    assert {path.name for path in PAGE.with_suffix("").iterdir()} <= shown


def test_regions_are_filled_in_and_the_rest_stays(tmp_path):
    machine = {"cpu": "C", "cores": 2, "memory_gib": 4, "gpu": "", "system": "S", "python": "3"}
    machine |= {"libraries": {"numpy": "2"}, "load": 0.1, "date": "2026-01-01"}
    figures = {"kind": "start", "machine": machine, "seconds": {"vidclf --help": SPREAD}}
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "start.json").write_text(json.dumps(figures), encoding="utf-8")
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- bench start -->\nold\n<!-- end -->\nafter\n", encoding="utf-8")
    assert fill_in(page) == {
        page: "before\n<!-- bench start -->\n| | seconds |\n| --- | ---: |\n| vidclf --help | 2.00 (1.00 to 3.00) |\n\n"
        "Measured on 2026-01-01: C, 2 cores, 4 GiB, no GPU, S, Python 3, numpy 2; load at the end 0.1.\n"
        "<!-- end -->\nafter\n"
    }


@pytest.mark.parametrize("value", [0.003, 1.0, 47.3, 15_000.0])
def test_plots_are_svg_with_every_point_inside(value):
    points = [Point(f"<{n}>", value * n, value * n / 2, value * n * 1.5) for n in (1, 2, 3)]
    for drawn in (line("t & t", "batch", "crops/s", points), bars("t", "frames/s", points)):
        root = ElementTree.fromstring(drawn)
        width, height = (float(side) for side in root.attrib["viewBox"].split()[2:])
        texts = [element for element in root.iter() if element.tag.endswith("text")]
        assert {"<1>", "<2>", "<3>"} <= {element.text for element in texts}
        assert all(0 <= float(e.attrib["x"]) <= width and 0 <= float(e.attrib["y"]) <= height for e in texts)


def test_tables():
    assert table(["", "a"], [("b", "1")]) == "| | a |\n| --- | ---: |\n| b | 1 |"
    assert within(SPREAD, 2) == "2.00 (1.00 to 3.00)"


def test_what_is_not_measured_says_so(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- bench none -->\n<!-- end -->\n", encoding="utf-8")
    assert fill_in(page) == {page: "<!-- bench none -->\nNot measured yet.\n<!-- end -->\n"}
