from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.batch.conftest import Run
from tests.folders import rows
from vidclf.batch.checks import check, is_below

MANIFEST = Path("out/manifest.sqlite")


def change(*statements: str) -> None:
    with closing(sqlite3.connect(MANIFEST)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a", True), ("sub/..a", True), ("a..", True), ("", False), ("/a", False), ("../a", False), ("sub/../../a", False),
     ("..", False), ("a\0", False)],
)  # fmt: skip
def test_a_result_is_below_its_folder(name: str, expected: bool) -> None:
    assert is_below(name) is expected


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("path = NULL", "path is None"),
        ("path = x'ff'", r"path is b'\\xff'"),
        ("size = 'big'", "size is 'big'"),
        ("thumbnail = 'none'", "thumbnail is 'none'"),
        ("labels = '[1]'", r"labels is '\[1\]'"),
        ("outputs = '{'", "Expecting property name"),
        (r"""outputs = '{"\ud800": "x"}'""", "surrogates not allowed"),
    ],
)
def test_a_column_holds_what_it_should(setting: str, message: str) -> None:
    with closing(sqlite3.connect(":memory:")) as database:
        database.row_factory = sqlite3.Row
        database.execute("CREATE TABLE clips (path, name, size, labels, outputs, thumbnail)")
        database.execute("""INSERT INTO clips VALUES ('a.mp4', 'a', 7, '{"bag": 1}', '{"a.mp4": "x"}', x'ff')""")
        check(database.execute("SELECT * FROM clips").fetchone())
        database.execute(f"UPDATE clips SET {setting}")
        with pytest.raises(ValueError, match=message):
            check(database.execute("SELECT * FROM clips").fetchone())


@pytest.mark.usefixtures("folder", "inline")
@pytest.mark.parametrize("name", ["../victim", "/victim", "", "sub/../../victim"])
@pytest.mark.parametrize("status", ["pending", "running", "done"])
def test_no_results_outside_of_their_folder(batch: Run, name: str, status: str) -> None:
    Path("victim.mp4").write_text("mine")
    batch("--include", "a.mp4")
    change(f"UPDATE clips SET name = '{name}', status = '{status}', attempts = 1")
    code, _, err = batch("--include", "a.mp4", "--force")
    error = f"Error: {MANIFEST}: the clip 'a.mp4' has results outside the folder of results: {name!r}\n"
    assert (code, err) == (2, error)
    assert Path("victim.mp4").read_text() == "mine"


@pytest.mark.usefixtures("folder", "inline")
def test_no_outputs_outside_of_their_folder(batch: Run) -> None:
    Path("victim.mp4").write_text("mine")
    batch("--include", "a.mp4")
    change("""UPDATE clips SET outputs = '{"../victim.mp4": "x"}'""")
    code, _, err = batch("--include", "a.mp4", "--force")
    error = f"Error: {MANIFEST}: the clip 'a.mp4' has results outside the folder of results: '../victim.mp4'\n"
    assert (code, err) == (2, error)
    assert Path("victim.mp4").read_text() == "mine"


@pytest.mark.usefixtures("folder", "inline")
@pytest.mark.parametrize(
    ("statement", "code", "message"),
    [
        ("UPDATE clips SET outputs = 'x'", 1, "is damaged (Expecting value: line 1 column 1 (char 0)); delete it, "),
        ("UPDATE clips SET labels = 'x'", 1, "is damaged (Expecting value: line 1 column 1 (char 0)); delete it, "),
        ("UPDATE clips SET warnings = CAST(x'ff' AS TEXT)", 1, "is damaged (Could not decode to UTF-8 column "),
        ("ALTER TABLE clips RENAME COLUMN outputs TO results", 2, "is not a manifest of vidclf batch: no such column"),
        ("ALTER TABLE facts RENAME COLUMN value TO is_it", 2, "is not a manifest of vidclf batch: no such column"),
    ],
)
def test_a_damaged_manifest_is_one_line(batch: Run, statement: str, code: int, message: str) -> None:
    batch("--include", "a.mp4")
    change(statement, "DELETE FROM facts WHERE name = 'concluded'" if "facts" not in statement else "SELECT 1")
    ended, _, err = batch("--include", "a.mp4")
    error = f"Error: {MANIFEST} {message}"
    assert (ended, err.splitlines()[-1][: len(error)]) == (code, error)


@pytest.mark.usefixtures("folder", "inline")
def test_flipped_bytes_are_one_line(batch: Run) -> None:
    batch()
    whole = MANIFEST.read_bytes()
    for at in range(100, len(whole), 997):
        MANIFEST.write_bytes(whole[:at] + bytes(byte ^ 0xFF for byte in whole[at : at + 300]) + whole[at + 300 :])
        err = batch()[2]
        assert "Traceback" not in err
        assert "--debug" not in err, err
    MANIFEST.write_bytes(whole)
    assert set(rows("status").values()) == {("done",)}
