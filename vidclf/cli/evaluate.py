"""`vidclf eval`: measures a classifier; the figures come as a table, as JSON and as an HTML page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from vidclf.cli.json_file import write_json
from vidclf.cli.options import DATA, DEBUG, DEVICE, VERIFY, FilePath, check_data, json_option
from vidclf.cli.reports import check_reports
from vidclf.errors import UsageError, VidclfError
from vidclf.models import checkpoint
from vidclf.models.backends import Backend, Precision
from vidclf.models.labels import named, order
from vidclf.models.zoo import FASHION_MNIST
from vidclf.stdout import encodable
from vidclf.threads import cores

if TYPE_CHECKING:
    import torch

    from vidclf.models.classifier import Classifier
    from vidclf.models.predictor import Predictor


@click.command("eval")
@click.argument("weights")
@DATA
@json_option("Write the figures as JSON; - is stdout, without the table.")
@click.option(
    "--html",
    "html_path",
    type=FilePath(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write an HTML page: figures, confusion matrix, reliability, most confident mistakes.",
)
@click.option(
    "--batch", type=click.IntRange(1, 65_536), help="Crops per forward pass; default: 512 of 28x28, fewer larger ones."
)
@click.option(
    "--all",
    "whole",
    is_flag=True,
    help="Test all pictures of a folder, rather than the fifth that training holds back.",
)
@DEVICE
@click.option(
    "--backend",
    type=click.Choice(get_args(Backend)),
    help="Runtime, as in `run`; default: torch in 32 bits, or with --precision or an exported file the fastest.",
)
@click.option("--precision", type=click.Choice(get_args(Precision)), help="Floats, as in the stage classify.")
@VERIFY
@DEBUG
def evaluate(
    weights: str,
    data: Path | None,
    json_file: str | None,
    html_path: Path | None,
    batch: int | None,
    whole: bool,
    device: str,
    backend: str | None,
    precision: str | None,
    verify: bool,
) -> None:
    """Test WEIGHTS (a path or a shipped name) on test pictures: Fashion-MNIST's 10,000, or your own.

    Your own are those in FOLDER/test, or the fifth of FOLDER that `train` does not learn from; --all is for pictures
    that were not trained on at all.

    Accuracy and calibration error (ECE, 15 bins, after the temperature) are in percent. --backend auto tests what a
    pipeline runs.

    \b
    Examples:
      vidclf eval lean --data FOLDER
      vidclf eval lean.onnx --data FOLDER
      vidclf eval mine.safetensors --data pictures --html mine.html
      vidclf eval mine.safetensors --data others --all
      vidclf eval mine.safetensors --json - | jq .top1
    """
    check_data(data)
    check_reports({"--json": json_file, "--html": html_path}, [("the weights", checkpoint.find(weights))])
    header = checkpoint.read_header(weights)
    if data is None and len(header["labels"]) != len(FASHION_MNIST):
        raise UsageError(
            f"{weights} knows {named(header['labels'])}, not Fashion-MNIST's classes; name a folder of such pictures "
            "with --data"
        )

    import torch

    from vidclf.models.device import choose_device
    from vidclf.models.exported import READERS
    from vidclf.models.predictor import Predictor
    from vidclf.training import data as pictures
    from vidclf.training import evaluation, page

    torch.set_num_threads(cores())
    model: Classifier | Predictor
    run: Callable[[torch.Tensor], torch.Tensor]
    if backend or precision or checkpoint.find(weights).suffix.lower() in READERS:
        model = predictor = Predictor(weights, backend or "auto", device, precision or "auto", cores())
        place = "cpu"  # its runtime takes crops from there

        def run(crops: torch.Tensor) -> torch.Tensor:
            return torch.from_numpy(predictor.logits(crops.numpy()))
    else:
        place = choose_device(device)
        run = model = checkpoint.load(weights, place)
    by_number, labels = pictures.is_numbered(data), model.labels
    is_fashion = order(FASHION_MNIST, labels) is not None
    if by_number and not is_fashion:  # right for weights of `train --labels`, and for no others
        what = f"{weights} knows {named(labels)}, not Fashion-MNIST's classes"
        click.echo(f"warning: {what}; they are compared by number, as `train --labels` numbers them", err=True)
    is_fifth = pictures.holds_back(data) and not whole
    if whole and not pictures.holds_back(data):
        click.echo("--all has no effect here: the test pictures are separate ones, and only they are tested", err=True)
    # Fashion-MNIST's numbers (its checksums prove them) are those of its own order, not always that of the weights.
    names = None if by_number and is_fashion and verify else labels
    test = pictures.load(data, "test", model.preprocess, verify, names, whole=whole).named_as(labels).to(place)
    logits = evaluation.predict(run, test.images, batch)
    if not logits.isfinite().all():
        raise VidclfError(f"{weights}: its outputs are not finite; damaged weights?")
    # Asked for afterwards: it may have had to fall back.
    runs_on = model.name if isinstance(model, Predictor) else f"torch f32 on {place}"
    metrics = {
        "weights": weights,
        "parameters": header.get("parameters", getattr(model, "parameter_count", None)),
        "runs_on": runs_on,
        **evaluation.score(logits, test.targets, model.labels, model.temperature),
    }
    if json_file != "-":
        click.echo(encodable(evaluation.table(metrics)))
        if runs_on != f"torch f32 on {place}":
            click.echo(f"Tested on {runs_on}.")
        if is_fifth:
            click.echo("These are the pictures that training holds back, a fifth; --all tests all of them.")
    if html_path:
        page.write_report(html_path, header, logits, test.targets, test.images)
    if json_file:  # last, so that there is no JSON without the page
        write_json(metrics, json_file)
