"""`vidclf export`: writes a classifier for other runtimes, compares it with the original and times both."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np

from vidclf.cli.json_file import write_json
from vidclf.cli.options import DEBUG, VERIFY, FilePath, json_option
from vidclf.cli.reports import check_reports
from vidclf.errors import UsageError, VidclfError
from vidclf.files import PartFile, rename

# Limits for ONNX and OpenVINO against torch, in 32 bits: the largest difference of a probability, and the smallest
# share of crops with the same label.
MOST_DIFFERENCE, LEAST_SAME = 1e-3, 0.9995
SUFFIXES = {"onnx": [".onnx"], "openvino": [".xml"], "torchscript": [".pt", ".torchscript"]}


@click.command()
@click.argument("weights")
@click.option("--format", "kind", type=click.Choice(list(SUFFIXES)), required=True, help="Format to write.")
@click.option(
    "-o",
    "--output",
    type=FilePath(path_type=Path, dir_okay=False),
    help="File to write; default: the name of WEIGHTS with .onnx, .xml (plus .bin) or .pt, in the current folder.",
)
@click.option(
    "--data",
    type=FilePath(path_type=Path),
    metavar="DIR",
    help="Also compare on the test pictures of this data set: Fashion-MNIST's files, or folders of pictures.",
)
@json_option("Write the comparison as JSON; - is stdout.")
@click.option("--force", is_flag=True, help="Overwrite existing files.")
@VERIFY
@DEBUG
def export(
    weights: str, kind: str, output: Path | None, data: Path | None, json_file: str | None, force: bool, verify: bool
) -> None:
    """Write WEIGHTS (a path or a shipped name) for ONNX Runtime, OpenVINO or TorchScript.

    The exported network takes (N, channels, size, size) uint8 crops, three channels in the order BGR, and returns
    (N, classes) logits. The file also holds labels, preprocessing and temperature, so `vidclf run --weights` accepts
    it like a checkpoint. It is compared with the original before it gets its final name, and timed.

    \b
    Examples:
      vidclf export lean --format onnx -o lean.onnx
      vidclf export mine.safetensors --format openvino --data FOLDER
    """
    from vidclf.models import checkpoint

    path = checkpoint.find(weights)
    output = output or Path(f"{path.stem}{SUFFIXES[kind][0]}")
    if output.suffix not in SUFFIXES[kind]:
        raise UsageError(f"a file for {kind} must be called NAME{SUFFIXES[kind][0]}, got {output.name}")
    targets = [output, output.with_suffix(".bin")] if kind == "openvino" else [output]
    folders = [data] if data else []
    check_reports({"--json": json_file}, [("the weights", path)], targets, folders, force)
    for target in targets:
        PartFile(target, force)  # raise now rather than after the work
    import tempfile

    from vidclf.models.device import torch_threads
    from vidclf.models.exporting import export as write
    from vidclf.threads import CLASSIFIER_IN_TORCH

    model = checkpoint.load(path)
    try:
        with (
            torch_threads("classifier", share=CLASSIFIER_IN_TORCH),
            tempfile.TemporaryDirectory(
                dir=output.parent, prefix=f".{output.name}.part-", ignore_cleanup_errors=True
            ) as folder,
        ):
            made = Path(folder) / output.name
            write(model, checkpoint.read_header(path), kind, made)
            figures = {"weights": weights, "format": kind, "file": str(output), **compare(path, made, data, verify)}
            # Of two files, the one that is opened by name appears last.
            for target in reversed(targets):
                rename(made.with_name(target.name), target)
    except OSError as error:
        raise VidclfError(f"cannot write {output}: {error.strerror or error}") from None
    if json_file:
        write_json(figures, json_file)
    for line in describe(figures):
        click.echo(line, err=True)
    click.echo(f"wrote {' and '.join(map(str, targets))}", err=True)


def compare(original: Path, exported: Path, data: Path | None, verify: bool = True) -> dict[str, Any]:
    """Compare the exported network's probabilities with the original's in torch, and time both.

    Uses random crops, and the test pictures in `data` (verify: see `training.data.load`).
    Raises VidclfError if they do not agree.
    """
    from vidclf.models.backends import is_installed
    from vidclf.models.predictor import Predictor, patterns

    # An ONNX file is meant for ONNX Runtime, even if OpenVINO is faster here.
    backend = "onnx" if exported.suffix == ".onnx" and is_installed("onnx") else "auto"
    predictors = {
        "torch": Predictor(str(original), "torch", "cpu", "f32"),
        "exported": Predictor(str(exported), backend, device="cpu", precision="f32"),
    }
    figures: dict[str, Any] = {"runtime": predictors["exported"].name}
    policy = predictors["torch"].preprocess
    sets = {"random": patterns(policy, 1024)}
    if data is not None:
        from vidclf.training.data import load

        sets["test"] = load(data, "test", policy, verify, predictors["torch"].labels).images.numpy()
    for name, crops in sets.items():
        wanted, found = (np.concatenate([p.run(part) for part in _parts(crops, 256)]) for p in predictors.values())
        difference = float(np.abs(wanted - found).max())
        same = int((wanted.argmax(1) == found.argmax(1)).sum())
        figures[name] = {"crops": len(crops), "max_difference": difference, "same": same}
        if not difference <= MOST_DIFFERENCE or same < LEAST_SAME * len(crops):
            raise VidclfError(
                f"the exported network does not match the original: on {len(crops)} {name} crops probabilities differ "
                f"by up to {difference:.2g}, and {len(crops) - same} labels differ; nothing was written"
            )
    for batch in (1, 64):
        figures[f"crops_per_s_{batch}"] = {
            name: round(speed(predictor, sets["random"][:batch])) for name, predictor in predictors.items()
        }
    return figures


def speed(predictor: Any, crops: np.ndarray, seconds: float = 0.3) -> float:
    """Crops per second at one batch size: the median of as many passes as fit into `seconds`, at least ten."""
    from vidclf.models.measure import times_of

    predictor.run(crops)  # warm up
    return len(crops) / median(times_of(lambda: predictor.run(crops), seconds, least=10))


def describe(figures: dict[str, Any]) -> list[str]:
    """The figures in words."""
    lines = []
    for name, what in (("random", "random crops"), ("test", "test pictures")):
        if name in figures:
            seen = figures[name]
            same = f"in {figures['runtime']} {seen['same']:,} of {seen['crops']:,} {what} have the same label"
            lines.append(f"{same}, probabilities differ by at most {seen['max_difference']:.1g}")
    for batch in (1, 64):
        speeds = figures[f"crops_per_s_{batch}"]
        ours = f"{figures['runtime']} {speeds['exported']:,} crops/s"
        lines.append(f"batch {batch}: {ours}, the original in torch {speeds['torch']:,}")
    return lines


def _parts(crops: np.ndarray, size: int) -> list[np.ndarray]:
    return [crops[start : start + size] for start in range(0, len(crops), size)]
