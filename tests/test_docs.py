"""What the README and docs/ say is so: their commands, options and stages exist, and their examples run."""

from __future__ import annotations

import inspect
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tests.clips import write_clip
from vidclf.cli.main import COMMANDS, cli
from vidclf.models.checkpoint import read_header
from vidclf.options import check_options
from vidclf.recipe import Item, find_recipe, find_stage, load_recipe, override
from vidclf.resources import shipped
from vidclf.rows import COLUMNS
from vidclf.stages import STAGES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = README + "".join(page.read_text(encoding="utf-8") for page in sorted(ROOT.glob("docs/*.md")))
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGES, re.MULTILINE | re.DOTALL)
COMMAND_LINES = [
    shlex.split(line, comments=True)
    for language, block in BLOCKS
    if language == "sh"
    for line in block.splitlines()
    if line.startswith("vidclf ")
]


def command(name: str) -> click.Command:
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example_and_is_in_the_readme(name: str):
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert re.search(rf"Examples?:\s+vidclf {name}\b", result.output)
    assert re.search(rf"^[^`]*vidclf {name}\b|`vidclf {name}\b", README, re.MULTILINE)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_help(name: str):
    missing = [p.name for p in command(name).params if isinstance(p, click.Option) and not p.help and p.name != "help"]
    assert missing in ([], ["device"])  # --device says it all in its metavar


def test_every_option_the_pages_name_exists():
    options = {flag for name in COMMANDS for p in command(name).params for flag in (*p.opts, *p.secondary_opts)}
    ours = re.sub(r"`(?:tensorboard|pip) [^`]*`", "", PAGES).replace("--help", "")
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", ours))
    assert len(named) > 10
    assert named <= options


@pytest.mark.parametrize("words", COMMAND_LINES, ids=" ".join)
def test_every_command_line_of_the_pages_is_one(words: list[str]):
    found = command(words[1])
    found.make_context(words[1], words[2:])  # raises on options and arguments that are none


def test_every_setting_the_pages_name_exists():
    settings = re.findall(r"--set ([\w.-]+)=([\w.:]+)", PAGES)
    assert len(settings) > 5
    for target, value in settings:
        stage, _, option = target.partition(".")
        shipped_items = [item for item in [*load_recipe("motion"), *load_recipe("person")] if item.name == stage]
        items = shipped_items[:1] or [Item(stage)]
        override(items, f"{target}={value}")
        check_options(find_stage(stage), {option: items[0].options[option]}, target)


def test_the_readme_lists_the_stages_that_there_are():
    (line,) = re.findall(r"The built-in stages: (.*?)\.\s", README, re.DOTALL)
    assert re.findall(r"`([\w-]+)`", line) == list(STAGES)


def test_every_stage_says_what_it_does():
    for name in STAGES:
        assert inspect.getdoc(find_stage(name)), name


def test_the_readme_names_the_columns_of_the_record():
    table = README.partition("| column | type | meaning |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines()[2:]]
    assert [name.strip() for row in rows for name in row.split(",")] == list(COLUMNS)


def test_the_shipped_pipelines_are_lists_of_known_stages_and_options():
    filled_in = {"capture": {"source": "in.mp4"}, "write": {"path": "out.mp4"}}  # by the command line
    names = {path.stem for path in shipped("pipelines").glob("*.yaml")}
    assert {"motion", "person"} <= names
    for name in names:
        for item in load_recipe(find_recipe(name)):
            check_options(find_stage(item.name), item.options | filled_in.get(item.name, {}), item.where)


def test_links_lead_somewhere():
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("weights/*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text(encoding="utf-8")):
            name, _, anchor = target.partition("#")
            file = page.parent / name if name else page
            assert file.exists(), f"{page.name}: {target}"
            assert not anchor or anchor in anchors(file), f"{page.name}: {target}"


def anchors(page: Path) -> set[str]:
    """What a link to a heading of a page may end in, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_design_page_names_files_that_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:vidclf|tests|pipelines|weights)/[\w./]*)`", text)
    assert len(named) > 10
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with a short `in.mp4` in which something moves, and the pages' files, those with a name on top."""
    folder = tmp_path_factory.mktemp("readme")
    write_clip(folder / "in.mp4", frames=30)
    for _, block in BLOCKS:
        if name := re.match(r"# (\w+\.\w+)\n", block):
            (folder / name[1]).write_text(block, encoding="utf-8")
    return folder


def run(folder: Path, *words: str) -> str:
    done = subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_python_example_runs(folder: Path):
    (script,) = [block for language, block in BLOCKS if language == "python" and not block.startswith("# ")]
    assert len([line for line in script.splitlines() if line.strip()]) <= 10
    output = run(folder, "-c", script)
    assert output.startswith("{'read': 30, 'finished': 30,")
    assert (folder / "out.mp4").stat().st_size > 0
    assert json.loads((folder / "out.jsonl").read_text().splitlines()[0])["schema"] == 1


def test_the_figures_are_those_of_the_demo(folder: Path):
    """Within a point: another CPU rounds otherwise."""
    run(folder, "-m", "vidclf", "demo", "-o", "demo")
    record, truth = "demo/wardrobe.jsonl", str(shipped("samples") / "wardrobe.truth.jsonl")
    figures = json.loads(run(folder, "-m", "vidclf", "score", record, truth, "--json", "-"))
    table = README.partition("| figure | value |")[2].partition("\n\n")[0]
    told = dict(re.findall(r"^\| ([a-z ]+): .*? \| ([\d.]+) %", table, re.MULTILINE))
    names = {"object accuracy", "box accuracy", "detection recall", "detection precision", "calibration error"}
    assert set(told) == names
    for words, percent in told.items():
        name = "ece" if words == "calibration error" else words.replace(" ", "_")
        assert 100 * figures[name] == pytest.approx(float(percent), abs=1), words
    assert figures["object_accuracy"] >= 0.8


def test_the_figures_are_those_of_the_weights():
    (line,) = re.findall(r"The shipped classifier `lean` has ([\d,]+) parameters.*?([\d.]+) %", README, re.DOTALL)
    header = read_header("lean")
    assert line == (f"{header['parameters']:,}", f"{header['metrics']['top1']:.2f}")


def test_the_stage_example_runs(folder: Path):
    (words,) = [words for words in COMMAND_LINES if "mine.yaml" in words]
    run(folder, "-m", *words)
    assert (folder / words[words.index("-o") + 1]).stat().st_size > 0


def test_a_wrong_option_of_the_stage_example_is_told(folder: Path):
    """docs/python.md says that options are checked before anything is opened."""
    wrong = folder / "wrong.yaml"
    wrong.write_text((folder / "mine.yaml").read_text().replace("radius: 41", "radios: 41"), encoding="utf-8")
    words = [sys.executable, "-m", "vidclf", "run", "none.mp4", "-o", "never.mp4", "-p", "wrong.yaml"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    expected = (
        "Error: wrong.yaml, item 3: blur:Blur has no option 'radios'; did you mean radius? (it takes radius=15)\n"
    )
    assert done.stderr == expected
