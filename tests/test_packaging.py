"""The wheel holds all that vidclf needs, and works away from the checkout that it was built from."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]
SHIPPED = ("pipelines", "weights", "samples")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """A wheel, built from a copy of the files that git has or would take, so that the checkout stays as it is."""
    if not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout")
    folder = tmp_path_factory.mktemp("packaging")
    listing = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.check_output(listing, text=True).splitlines():
        if (ROOT / name).is_file():
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / "source" / name)
    # Without isolation nothing is downloaded: setuptools is among the test tools.
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    done = subprocess.run([*command, str(folder / "source")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The unpacked wheel."""
    folder = wheel.parent / "installed"
    with ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A Python of its own that takes vidclf from the unpacked wheel and its dependencies from where ours are."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=installed.parent, env=environment, capture_output=True, text=True, timeout=120
    )


def test_every_module_is_in_the_wheel(wheel: Path):
    names = set(ZipFile(wheel).namelist())
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "vidclf").rglob("*.py")}
    assert modules - names == set()
    assert "vidclf/py.typed" in names


def test_everything_shipped_is_in_the_wheel_and_nothing_else(wheel: Path):
    names = ZipFile(wheel).namelist()
    for kind in SHIPPED:
        wanted = {f"vidclf/{kind}/{p.name}" for p in (ROOT / kind).iterdir() if p.is_file()}
        assert wanted - set(names) == set()
        assert any(name.startswith(f"vidclf/{kind}/") for name in names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {name.split("/")[0].split("-")[0] for name in names} == {"vidclf"}  # no tests, no stray top-level package


def test_the_wheel_says_what_it_is(wheel: Path):
    import vidclf

    with ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(n for n in names if n.endswith("/METADATA"))).decode()
        points = archive.read(next(n for n in names if n.endswith("/entry_points.txt"))).decode()
    assert f"Version: {vidclf.__version__}\n" in metadata
    assert "License: Apache-2.0\n" in metadata
    assert "Requires-Python: >=3.11\n" in metadata
    assert (ROOT / "README.md").read_text(encoding="utf-8") in metadata
    parser = configparser.ConfigParser()
    parser.read_string(points)
    assert parser["console_scripts"]["vidclf"] == "vidclf.cli.main:main"


@pytest.mark.parametrize("kind", SHIPPED)
def test_an_installed_vidclf_finds_its_own_files(installed: Path, kind: str):
    done = run(installed, "-c", f"from vidclf.resources import shipped; print(shipped({kind!r}))")
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == installed.resolve() / "vidclf" / kind


def test_an_installed_vidclf_works_from_any_folder(installed: Path):
    stages = run(installed, "-m", "vidclf", "stages")
    assert stages.returncode == 0, stages.stderr
    assert "capture" in stages.stdout and "write" in stages.stdout
    models = run(installed, "-m", "vidclf", "models")
    assert models.returncode == 0, models.stderr
    assert "lean" in models.stdout
    script = "from vidclf.recipe import find_recipe; print(find_recipe('motion'))"
    recipe = run(installed, "-c", script)
    assert Path(recipe.stdout.strip()) == installed.resolve() / "vidclf" / "pipelines" / "motion.yaml"
