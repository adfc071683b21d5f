"""`vidclf import`: converts the predecessors' weights into a checkpoint that a pipeline can use."""

from __future__ import annotations

from pathlib import Path

import click

from vidclf.cli.options import DEBUG, FilePath
from vidclf.cli.reports import refuse_clashes
from vidclf.errors import UsageError, VidclfError
from vidclf.models import checkpoint
from vidclf.models.labels import read_labels

MODELS = ("simple-cnn", "resnet18", "v1", "v2", "v3")


@click.command("import")
@click.argument("file", type=FilePath(path_type=Path))
@click.option("-o", "--output", required=True, type=FilePath(dir_okay=False, path_type=Path), help="The checkpoint.")
@click.option("--model", type=click.Choice(MODELS), help="Expected network; default: detected from the tensors.")
@click.option(
    "--labels",
    type=FilePath(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Class names in order: one per line, or JSON as in classes.json. Default: Fashion-MNIST's.",
)
@click.option("--trust-pickle", is_flag=True, help="Also load a whole pickled network; for files that you trust.")
@click.option("--force", is_flag=True, help="Replace an existing checkpoint.")
@DEBUG
def import_weights(
    file: Path, output: Path, model: str | None, labels: Path | None, trust_pickle: bool, force: bool
) -> None:
    """Convert FILE, from LucasVandroux/Fashion-MNIST-PyTorch or xuehaouwa/Fashion-MNIST, into a checkpoint.

    The former saves model_best.pth.tar, the latter v3_params.pkl (tensors) and v3.pkl (a pickled network: only with
    --trust-pickle). The checkpoint makes crops and scales pixels as in the network's training.

    \b
    Examples:
      vidclf import model_best.pth.tar -o simple-cnn.safetensors
      vidclf import v3_params.pkl -o v3.safetensors --model v3
      vidclf eval v3.safetensors --data FOLDER
    """
    inputs = [("the file to import", file)] + ([("the file of --labels", labels)] if labels else [])
    refuse_clashes(inputs, [output])
    if output.exists() and not force:
        raise UsageError(f"{output} already exists; --force replaces it")
    checkpoint.check_name(output)
    names = read_labels(labels) if labels else None

    from vidclf.models import importers

    network, facts = importers.import_weights(file, model, names, trust_pickle)
    try:
        checkpoint.save(output, network, force=force, **facts)
    except OSError as error:
        raise VidclfError(f"cannot write {output}: {error.strerror or error}") from None
    policy, mean, std = network.preprocess, float(network.mean), float(network.std)
    click.echo(
        f"{network.name}, {network.parameter_count:,} parameters, {len(network.labels)} classes; "
        f"crops {policy.aspect}, {'masked' if policy.mask else 'not masked'}, mean {mean:g}, deviation {std:g}",
        err=True,
    )
    click.echo(f"wrote {output}", err=True)
