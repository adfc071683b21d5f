"""The page of figures is made of the figures: what stands in it is what the script makes of the JSON beside it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from vidclf.bench.report import REGION, fill_in, table, within
from vidclf.errors import VidclfError

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
SPREAD = {"median": 2.0, "min": 1.0, "max": 3.0}


def test_the_page_says_what_the_figures_say():
    files = fill_in(PAGE)
    assert len(REGION.findall(PAGE.read_text(encoding="utf-8"))) >= 3
    assert PAGE.read_text(encoding="utf-8") == files.pop(PAGE), f"run: python -m vidclf.bench.report {PAGE.name}"
    for path in files:  # their bytes differ between versions of matplotlib
        ElementTree.parse(path)


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


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "vidclf.bench.plot", raising=False)
    with pytest.raises(VidclfError, match=r"^the plots need matplotlib: pip install matplotlib$"):
        fill_in(PAGE)


def test_tables():
    assert table(["", "a"], [("b", "1")]) == "| | a |\n| --- | ---: |\n| b | 1 |"
    assert within(SPREAD, 2) == "2.00 (1.00 to 3.00)"


def test_what_is_not_measured_says_so(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- bench none -->\n<!-- end -->\n", encoding="utf-8")
    assert fill_in(page) == {page: "<!-- bench none -->\nNot measured yet.\n<!-- end -->\n"}
