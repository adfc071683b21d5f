"""Who may import whom: engine <- stages <- cli, and nothing heavy before it is needed."""

from __future__ import annotations

import ast
import configparser
import importlib.metadata
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "vidclf"
MODULES = sorted(PACKAGE.rglob("*.py"))
# A module or folder of vidclf: the others that it may import. A new one has to say here where it belongs.
MAY_IMPORT = {
    "errors": "",
    "limits": "errors",
    "files": "errors lock",
    "lock": "",
    "resources": "",
    "threads": "limits",
    "memory": "",
    "frame": "",
    "boxes": "errors frame",
    "preprocess": "errors frame limits",
    "channel": "frame",
    "stats": "channel frame",
    "interrupt": "",
    "mistakes": "",
    "pipeline": "boxes channel frame interrupt memory mistakes stats",
    "trace": "channel frame stats",
    "options": "errors limits",
    "recipe": "errors limits options pipeline resources stages",
    "video": "errors files frame threads",
    "models": "errors files limits lock preprocess resources threads",
    "stages": (
        "boxes errors events files frame limits lock models preprocess rows stdout tables threads units video web"
    ),
    "web": "errors frame preprocess rates rows",
    "rendering": "resources training",
    "training": "calibration errors files limits lock models preprocess",
    "rows": "frame",
    "records": "errors rows",
    "tables": "files rows stdout",
    "stdout": "errors",
    "rates": "",
    "events": "errors files lock",
    "units": "errors",
    "calibration": "",
    "scoring": "calibration errors records",
    "batch": (
        "child errors files frame limits lock memory models options pipeline preprocess recipe resources rows stages "
        "tables threads video"
    ),
    "__init__": "channel errors frame pipeline recipe",
    "child": "",
    "bench": "channel child errors frame memory models pipeline preprocess recipe scoring stages threads video",
    "__main__": "cli",
}
# The modules that every stage and every user's stage rest on, and the packages they may need.
ENGINE = {
    "errors": set(),
    "limits": set(),
    "frame": {"numpy"},
    "boxes": set(),
    "preprocess": {"numpy", "cv2"},
    "channel": set(),
    "stats": set(),
    "interrupt": set(),
    "mistakes": set(),
    "pipeline": set(),
    "memory": {"psutil"},
    "trace": set(),
    "options": set(),
    "recipe": {"yaml"},
}
THREADS_LIVE_IN = {
    "channel.py",
    "pipeline.py",
    "courier.py",
    "server.py",
    "workers.py",
    "parallel.py",
    "apart.py",
    "child.py",
}
THREADS_LIVE_IN.add("board.py")  # starts none, but silences those of TensorBoard

every_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports anywhere in it, but not those for the type checker alone."""
    nodes: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            nodes += node.orelse
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            nodes += ast.iter_child_nodes(node)


def part(path: Path) -> str:
    """Where a file belongs in `MAY_IMPORT`: its folder inside the package, or its own name."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def is_outside(name: str) -> bool:
    return name != "vidclf" and name not in {*sys.stdlib_module_names, "annotationlib"}  # the last is new in 3.14


def test_the_parser_sees_what_it_has_to(tmp_path):
    """A check that finds nothing would pass for ever."""
    file = tmp_path / "module.py"
    file.write_text(
        "import json\nfrom vidclf.stages import STAGES\nfrom typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from vidclf.channel import Channel\nelse:\n    import yaml\n"
        "def f():\n    import torch.nn\n    from av import error\n"
    )
    assert set(imports(file)) == {
        "json",
        "vidclf.stages.STAGES",
        "typing.TYPE_CHECKING",
        "yaml",
        "torch.nn",
        "av.error",
    }


@every_module
def test_imports_run_one_way(path: Path):
    own = part(path)
    if own == "cli":
        return  # it stands on top, and imports everything
    allowed = {own, *MAY_IMPORT[own].split()}
    used = {name.split(".")[1] for name in imports(path) if name.startswith("vidclf.")}
    assert used <= allowed, f"{path.name} may not import {used - allowed}"


@pytest.mark.parametrize("name", ENGINE)
def test_the_engine_needs_little(name: str):
    outside = {found.split(".")[0] for found in imports(PACKAGE / f"{name}.py")}
    assert set(filter(is_outside, outside)) <= ENGINE[name]


@every_module
def test_threads_live_in_one_file_and_the_lock_in_another(path: Path):
    used = {name.split(".")[0] for name in imports(path)}
    coroutines = set() if part(path) == "web" else {"asyncio"}  # a web server's routes are coroutines
    if path.name not in THREADS_LIVE_IN:
        assert not used & ({"threading", "_thread", "queue", "multiprocessing", "concurrent"} | coroutines)


def test_every_package_that_is_imported_is_a_declared_dependency():
    settings = configparser.ConfigParser()
    settings.read(PACKAGE.parent / "setup.cfg", encoding="utf-8")
    lists = [settings["options"]["install_requires"], *settings["options.extras_require"].values()]
    declared = {line.split()[0].lower() for requirements in lists for line in requirements.split("\n") if line}

    def declares(module: str) -> bool:
        return bool(declared & {name.lower().replace("_", "-") for name in provided_by[module]})

    used = {name.split(".")[0] for path in MODULES for name in imports(path)}
    provided_by = importlib.metadata.packages_distributions()
    assert [module for module in filter(is_outside, used) if not declares(module)] == []


def modules_after(*lines: str) -> set[str]:
    """The top-level modules that a fresh Python has imported after these lines."""
    script = "\n".join([*lines, "import sys", "print('MODULES', *{name.split('.')[0] for name in sys.modules})"])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.rpartition("MODULES")[2].split())


HEAVY = {"torch", "torchvision", "ultralytics", "supervision", "av", "pyarrow", "matplotlib", "scipy", "openvino"}


def test_importing_vidclf_imports_nothing_heavy():
    assert not modules_after("import vidclf") & HEAVY


def test_naming_a_stage_imports_no_more_than_that_stage():
    assert not modules_after("from vidclf.stages import Crop, Motion, Yolo") & (HEAVY - {"av"})


@pytest.mark.parametrize(
    "arguments", [["--help"], ["run", "--help"], ["demo", "--help"], ["train", "--help"]], ids=" ".join
)
def test_help_answers_without_the_heavy_packages(arguments: list[str]):
    call = f"try:\n    main({arguments})\nexcept SystemExit as end:\n    assert end.code == 0"
    assert not modules_after("from vidclf.cli.main import main", call) & HEAVY


def test_the_list_of_commands_answers_without_even_numpy():
    call = "try:\n    main(['--help'])\nexcept SystemExit as end:\n    assert end.code == 0"
    assert not modules_after("from vidclf.cli.main import main", call) & {"numpy", "cv2", "rich", "yaml", "psutil"}


def test_the_motion_path_imports_nothing_of_ultralytics(tmp_path):
    """A program that uses this path alone uses nothing of ultralytics, and nothing under its licence, AGPL-3.0."""
    import av
    import numpy as np

    with av.open(str(tmp_path / "in.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for n in range(40):
            image = np.full((120, 160, 3), 40, np.uint8)
            if n >= 15:
                image[40:90, 3 * n : 3 * n + 40] = 220
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))
    command = ["run", "in.mp4", "-o", "out.mp4", "--record", "out.jsonl", "--quiet"]
    command = [str(tmp_path / word) if "." in word else word for word in command]
    call = f"try:\n    main({command})\nexcept SystemExit as end:\n    assert end.code == 0"
    modules = modules_after("from vidclf.cli.main import main", call)
    assert {"av", "cv2"} <= modules  # it really ran
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) > 1  # and found the square
    assert not modules & {"ultralytics", "supervision"}
