"""Figures as tables in Markdown and plots in SVG.

`python -m vidclf.bench.report docs/benchmarks.md` fills in the page: between `<!-- bench NAME -->` and `<!-- end -->`
it puts the figures of `docs/benchmarks/NAME.json`, written by `vidclf bench ... --json`. So no figure is typed by hand.
The plots need matplotlib, which ultralytics and the extra `tensorboard` bring.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vidclf.errors import VidclfError

REGION = re.compile(r"(<!-- bench ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are numbers."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |".replace("|  |", "| |") for row in (head, rule, *rows))


def within(spread: dict[str, float], digits: int = 1) -> str:
    """A median and its spread."""
    return f"{spread['median']:.{digits}f} ({spread['min']:.{digits}f} to {spread['max']:.{digits}f})"


def comparison(found: dict[str, Any]) -> str:
    """What `vidclf bench [CLIP]` measured."""
    told = found["setting"]
    lines = [
        f"{told['clip']}, {told['size']}, {found['frames']} frames, {found['objects_per_frame']} objects a frame.",
        f"Pipeline {told['pipeline']}: {_stages(told['stages'])}.",
        "",
        table(
            ["", "frames/s", "vidclf is", "CPU ms a frame", *(["peak MB"] if "memory" in found else [])],
            [_contender(name, each, found) for name, each in found["contenders"].items()],
        ),
        "",
        table(
            ["stage alone", "frames/s", "CPU ms a frame"],
            [(name, within(each["fps"]), within(each["cpu_ms"], 2)) for name, each in found["stages"].items()],
        ),
        "",
        _efficiency(found["efficiency"]),
    ]
    for name, each in found.get("agreement", {}).items():
        lines.append(
            f"Against {name}: {100 * each['boxes']:.2f} % of {each['objects']} objects have the same box (IoU at least "
            f"0.9), {100 * each['boxes_and_labels']:.2f} % also the same label."
        )
    lines += [f"Left out: {name}, whose package is not installed." for name in found["skipped"]]
    return "\n".join(lines)


def _stages(stages: list[dict[str, dict[str, Any]]]) -> str:
    """The stages, with the options that affect the speed; the codec is the writer's."""
    said = ("weights", "device", "backend", "batch", "every", "codec")
    words = []
    for stage in stages:
        ((name, options),) = stage.items()
        given = " ".join(f"{key}={options[key]}" for key in said if key in options)
        words.append(f"{name} ({given})" if given else name)
    return ", ".join(words)


def _contender(name: str, each: dict[str, Any], found: dict[str, Any]) -> list[str]:
    faster = found["ratios"].get(name)
    row = [name, within(each["fps"]), f"{within(faster, 2)} times as fast" if faster else "", within(each["cpu_ms"])]
    if "memory" in found:
        row.append(f"{found['memory'][name]:.0f}" if name in found["memory"] else "")
    return row


def _efficiency(found: dict[str, Any]) -> str:
    return (
        f"Efficiency: the pipeline takes {within(found['wall_over_bound'], 2)} times the least it could: the slowest "
        f"stage alone ({found['slowest_stage']}, {found['slowest_stage_ms']:.1f} ms), or its CPU time over all cores."
    )


def classifier_table(found: dict[str, Any]) -> str:
    """What `vidclf bench classifier` measured."""
    rows = [(f"batch {n}" if n.isdigit() else n, within(each, 0)) for n, each in found["crops_per_second"].items()]
    ratios = [f"{name}: {within(each)} times as fast, a crop." for name, each in found["ratio"].items()]
    return "\n".join([f"{found['classifier']} on {found['runs_on']}", "", table(["", "crops/s"], rows), "", *ratios])


def start_table(found: dict[str, Any]) -> str:
    """What `vidclf bench start` measured."""
    return table(["", "seconds"], [(name, within(each, 2)) for name, each in found["seconds"].items()])


def scaling_table(found: dict[str, Any]) -> str:
    """What `vidclf bench scaling` measured."""
    tables = []
    for curve in found["curves"]:
        with_memory = any("peak_rss_mb" in point for point in curve["points"])
        rows = [
            (str(point["at"]), _fps(point), *([f"{point['peak_rss_mb']:.0f}"] if with_memory else []))
            for point in curve["points"]
        ]
        tables.append(table([curve["by"], "frames/s", *(["peak MB"] if with_memory else [])], rows))
    return "\n\n".join(tables)


def _fps(point: dict[str, Any]) -> str:
    return within(point) if "min" in point else f"{point['median']:.1f}"


def engine_line(found: dict[str, Any]) -> str:
    """What `vidclf bench engine` measured."""
    costs = found["us_per_frame"]
    middle, spread = found["median_us_per_frame"], f"{costs[0]} to {costs[-1]}"
    return f"{middle:.1f} us a frame over {found['stages']} empty stages ({spread})."


def machine_line(machine: dict[str, Any]) -> str:
    """The machine in a sentence."""
    libraries = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
    return (
        f"Measured on {machine['date']}: {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, "
        f"{machine['gpu'] or 'no GPU'}, {machine['system']}, Python {machine['python']}, {libraries}; "
        f"load at the end {machine['load']}."
    )


def plots(found: dict[str, Any], name: str) -> dict[str, str]:
    """The plots of one file of figures: {file name: SVG}; VidclfError if matplotlib is missing."""
    try:
        from vidclf.bench.plot import Point, bars, line
    except ImportError as error:
        raise VidclfError("the plots need matplotlib: pip install matplotlib") from error
    if found["kind"] == "pipeline":
        points = [Point.of(who, each["fps"]) for who, each in found["contenders"].items()]
        return {f"{name}.svg": bars(f"{found['setting']['pipeline']}, {found['setting']['clip']}", "frames/s", points)}
    if found["kind"] == "classifier":
        points = [Point.of(n, each) for n, each in found["crops_per_second"].items() if n.isdigit()]
        return {f"{name}.svg": line(found["classifier"], "batch", "crops/s", points)}
    if found["kind"] == "scaling":
        return {
            f"{name}-{curve['by'].replace(' ', '-')}.svg": line(
                found["setting"]["pipeline"], curve["by"], "frames/s", [Point.of(p["at"], p) for p in curve["points"]]
            )
            for curve in found["curves"]
        }
    return {}


WORDS: dict[str, Callable[[dict[str, Any]], str]] = {
    "pipeline": comparison,
    "classifier": classifier_table,
    "start": start_table,
    "scaling": scaling_table,
    "engine": engine_line,
}


def fill_in(page: Path) -> dict[Path, str]:
    """The updated page and its plots: {path: content}; the figures are in the folder with the page's name."""
    folder = page.with_suffix("")
    files: dict[Path, str] = {}

    def region(match: re.Match[str]) -> str:
        figures = folder / f"{match[2]}.json"
        if not figures.is_file():
            return f"{match[1]}Not measured yet.\n{match[3]}"
        found = json.loads(figures.read_text(encoding="utf-8"))
        drawn = plots(found, match[2])
        files.update({folder / file: content for file, content in drawn.items()})
        pictures = "\n".join(f"![{file.removesuffix('.svg')}]({folder.name}/{file})" for file in drawn)
        parts = [WORDS[found["kind"]](found), pictures, machine_line(found["machine"])]
        return match[1] + "\n\n".join(filter(None, parts)) + "\n" + match[3]

    files[page] = REGION.sub(region, page.read_text(encoding="utf-8"))
    return files


if __name__ == "__main__":
    try:
        filled = fill_in(Path(sys.argv[1]))
    except VidclfError as error:
        sys.exit(f"Error: {error}")
    for path, content in filled.items():
        path.write_text(content, encoding="utf-8")
