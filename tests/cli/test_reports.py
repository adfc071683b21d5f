"""What --json, --stats, --trace and --html may overwrite, in every command that has one of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.idx import write_bars
from vidclf.cli.main import main
from vidclf.models import create, save
from vidclf.resources import shipped

SAMPLES = shipped("samples")
Refuse = Callable[[str], str]


@pytest.fixture
def refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refuse:
    """Runs a command that must be refused in a folder of files, all of which must stay; gives the message."""
    monkeypatch.chdir(tmp_path)
    Path("clips").mkdir()
    for copy in ("in.mp4", "clips/wardrobe.mp4"):
        shutil.copy(SAMPLES / "wardrobe.mp4", copy)
    shutil.copy(SAMPLES / "wardrobe.truth.jsonl", "w.truth.jsonl")
    save("mine.safetensors", create("v1"))
    write_bars(Path("idx"), train=20, test=20)
    Path("plain.yaml").write_text("- capture\n- motion\n")
    Path("pics").mkdir()
    Path("pics/1.png").write_text("mine")
    Path("notes.txt").write_text("mine")
    Path("r.jsonl").write_text(
        '{"source": "in.mp4", "frame": 0, "x0": 0, "y0": 0, "x1": 9, "y1": 9, "label": "", "label_score": 0}\n'
    )

    def content() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}

    def run(line: str) -> str:
        before = content()
        with pytest.raises(SystemExit) as left:
            main(line.split())
        message = capsys.readouterr().err
        assert (left.value.code, content()) == (2, before), message
        return message.removeprefix("Error: ").strip()

    return run


SCORE = "score r.jsonl w.truth.jsonl --json"
EVAL = "eval mine.safetensors --data idx"
EXPORT = "export mine.safetensors --format torchscript --data idx"


@pytest.mark.parametrize(
    ("line", "overwritten"),
    [
        ("run in.mp4 -p plain.yaml --force --stats plain.yaml", "the pipeline file"),
        ("run in.mp4 --force --stats in.mp4", "the source in.mp4"),
        ("run in.mp4 --weights mine.safetensors --force --trace mine.safetensors", "the file of classify.weights"),
        ("run pics/*.png --force --stats pics/1.png", "the source pics/*.png"),
        ("run pics/%d.png --force --stats pics/1.png", "the source pics/%d.png"),
        ("run in.mp4 --stats s.json --trace ./s.json", "another output"),
        ("run in.mp4 -o o.mp4 --stats o.mp4", "another output"),
        ("batch clips -o res -p plain.yaml --force --json plain.yaml", "the pipeline file"),
        (f"{SCORE} r.jsonl", "the record"),
        (f"{SCORE} w.truth.jsonl", "the truth file"),
        (f"{EVAL} --html mine.safetensors", "the weights"),
        (f"{EVAL} --json x.html --html x.html", "another output"),
        (f"{EXPORT} --force --json mine.safetensors", "the weights"),
        (f"{EXPORT} -o x.pt --json x.pt", "another output"),
        ("bench in.mp4 --force --json in.mp4", "the clip"),
        ("bench classifier --weights mine.safetensors --json mine.safetensors", "the weights"),
    ],
)
def test_inputs_and_other_outputs_stay_even_with_force(refuse: Refuse, line: str, overwritten: str) -> None:
    path = line.split()[-1].removeprefix("./")
    assert refuse(line) == f"{path} would overwrite {overwritten}"


@pytest.mark.parametrize(
    ("line", "needs"),
    [
        ("run in.mp4 --stats notes.txt", "--stats needs a name that ends in .json, or --force"),
        ("run in.mp4 --trace notes.txt", "--trace needs a name that ends in .json, or --force"),
        (f"{SCORE} notes.txt", "--json needs a name that ends in .json"),
        (f"{EVAL} --html notes.txt", "--html needs a name that ends in .html"),
        ("models --json notes.txt", "--json needs a name that ends in .json"),
        ("bench engine --json notes.txt", "--json needs a name that ends in .json"),
    ],
)
def test_files_that_are_no_reports_stay(refuse: Refuse, line: str, needs: str) -> None:
    assert refuse(line) == f"notes.txt exists; to replace a file, {needs}"


@pytest.mark.parametrize(
    ("line", "folder"),
    [
        ("batch clips -o res --force --json clips/wardrobe.mp4", "clips"),
        ("batch clips -o res --force --json res/wardrobe.mp4", "res"),
        (f"{EXPORT} --force --json idx/t10k-labels-idx1-ubyte.gz", "idx"),
    ],
)
def test_a_folder_of_inputs_or_outputs_gets_only_files_that_are_clearly_reports(
    refuse: Refuse, line: str, folder: str
) -> None:
    assert refuse(line) == f"{line.split()[-1]} is in {folder}, where --json needs a name that ends in .json"


def test_a_report_of_an_earlier_run_is_replaced_and_others_only_with_force(refuse: Refuse) -> None:
    line = "run in.mp4 -p plain.yaml --quiet --max-frames 2 --stats"
    Path("of-mktemp").touch()
    for words in ("s.json", "s.JSON", "s.json", "new.txt", "of-mktemp", "notes.txt --force"):
        with pytest.raises(SystemExit) as left:
            main([*line.split(), *words.split()])
        assert left.value.code == 0
        assert "ledger" in Path(words.split()[0]).read_text()
