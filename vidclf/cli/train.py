"""`vidclf train`: trains the weights that a pipeline uses, from pictures."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import Field, fields
from pathlib import Path
from signal import SIGTERM, default_int_handler, signal
from typing import Any

import click
from click.core import ParameterSource

from vidclf.cli.duration import Duration
from vidclf.cli.main import INTERRUPTED
from vidclf.cli.options import DATA, DEBUG, DEVICE, VERIFY, FilePath, Number, check_data, with_options
from vidclf.cli.reports import refuse_clashes
from vidclf.errors import UsageError
from vidclf.models import checkpoint
from vidclf.models.labels import read_labels
from vidclf.threads import MOST_CORES, cores, set_threads
from vidclf.training.config import FINE_TUNING, OPTIMIZERS, Config
from vidclf.training.recipes import RECIPES
from vidclf.training.run_files import RunFiles, check_output, check_target, check_unused, read_config
from vidclf.training.start import settings_of


def _option(setting: Field[Any]) -> Callable[..., Any]:
    """The option for a field of `Config`."""
    about, default, dashed = setting.metadata["about"], setting.default, setting.name.replace("_", "-")
    usual = f"--{dashed}/--no-{dashed}" if setting.metadata["kind"] is bool else f"--{dashed}"
    return click.option(
        setting.metadata.get("flag", usual),
        setting.name,
        type=_type(setting.metadata),
        metavar=setting.metadata.get("metavar"),
        multiple=isinstance(default, tuple),
        default=default,
        show_default=default != "",
        help=about[0].upper() + about[1:] + ".",
    )


def _type(limits: Mapping[str, Any]) -> click.ParamType | type:
    if "choices" in limits:
        return click.Choice(limits["choices"])
    if "low" in limits:
        build = click.IntRange if limits["kind"] is int else Number
        return build(limits["low"], limits["high"])
    kind: type = limits["kind"]
    return kind


def _with_recipe(recipe: str | None, settings: dict[str, Any], given: Collection[str]) -> dict[str, Any]:
    """The settings of a recipe, and those that follow from other options, except those given on the command line."""
    values = dict(RECIPES[recipe]) if recipe else {}
    optimizer = settings["optimizer"] if "optimizer" in given else values.get("optimizer", settings["optimizer"])
    if optimizer != values.get("optimizer"):  # the recipe's rates are for its own
        values = {name: value for name, value in values.items() if name not in OPTIMIZERS[optimizer]}
    if "start" in given:
        rate = FINE_TUNING * values.get("lr", OPTIMIZERS[optimizer]["lr"])
        # A recipe's network has to be that of the weights; its normalisation is for fresh ones.
        values = settings_of(settings["start"]) | values | {"normalise": "start", "lr": round(rate, 6)}
    return settings | {name: value for name, value in values.items() if name not in given}


def _continued(folder: Path, config: Config, given: Collection[str]) -> Config:
    """The settings of the run in a folder, except for options that are given: `Run` refuses those that differ."""
    if (asked := read_config(folder)) is None:
        return config
    settings: dict[str, Any] = config.to_dict()
    settings |= {name: value for name, value in asked["settings"].items() if name in settings and name not in given}
    settings = {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}
    with suppress(TypeError):
        config = Config(**settings)
        if all(isinstance(text, str) for text in (config.start, *config.labels, *config.distill)):
            return config
    raise UsageError(f"{folder}: the settings in its config.json are damaged")


def _idle(config: Config, given: Collection[str], has_validation: bool) -> list[str]:
    """A warning for every given option that has no effect, or less than it says, in combination with the others."""
    milestone = config.schedule == "milestone"
    use = {
        "milestones": ("schedule milestone", milestone),
        "gamma": ("schedule milestone", milestone),
        "warmup": ("schedules other than one-cycle", config.schedule != "one-cycle"),
        "momentum": ("optimizers muon and sgd", config.optimizer != "adamw"),
        "nesterov": ("optimizer sgd", config.optimizer == "sgd"),
        "init": ("fresh weights", not config.start),
        "validation": ("data without a folder valid", not has_validation),
        "distill_share": ("distill", bool(config.distill)),
        "distill_temperature": ("distill", bool(config.distill)),
        "scale": ("warp above 0", config.warp > 0),
        "rotate": ("warp above 0", config.warp > 0),
    }
    idle = {name: what for name, (what, used) in use.items() if name in given and not used}
    lines = [f"{name} has no effect here: it is for {what}" for name, what in idle.items()]
    if late := [str(epoch) for epoch in config.milestones if milestone and epoch >= config.epochs]:
        lines.append(f"milestones {', '.join(late)} have no effect here: the run has {config.epochs} epochs")
    if config.class_weights and config.distill:
        share = f"{100 * (1 - config.distill_share):.3g} %"
        lines.append(f"class_weights affects only {share} of the loss here: the labels, not the teachers' outputs")
    return lines


@click.command()
@DATA
@click.option(
    "--labels",
    type=FilePath(path_type=Path),
    metavar="FILE",
    help="File of class names, one per line or JSON. Default: Fashion-MNIST's or folder names.",
)
@click.option(
    "-o", "--output", type=FilePath(path_type=Path, dir_okay=False), help="Weights; default: in the run's folder."
)
@click.option(
    "--run",
    "folder",
    type=FilePath(path_type=Path, file_okay=False),
    help="Folder of the run: settings, metrics, checkpoints. Default: runs/MODEL-SEED.",
)
@click.option("--resume", is_flag=True, help="Continue an interrupted run after its last finished epoch.")
@click.option("--force", is_flag=True, help="Start over in a folder that holds a run; replace existing weights.")
@click.option("--recipe", type=click.Choice(list(RECIPES)), help="Named settings; options you give override them.")
@click.option("--time-limit", type=Duration(1), help="Finish, annealed, after this long: 90s, 20m, 1h30m.")
@click.option(
    "--threads",
    type=click.IntRange(1, MOST_CORES),
    help="CPU threads; default: VIDCLF_THREADS, OMP_NUM_THREADS or all.",
)
@DEVICE
@VERIFY
@click.option(
    "--compile",
    "compiled",
    is_flag=True,
    help="torch.compile the network: useful in long runs, on GPUs and CPUs with AMX.",
)
@click.option("--deterministic", is_flag=True, help="Use only reproducible algorithms (for GPUs; CPUs always do).")
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
@DEBUG
@with_options([_option(field) for field in fields(Config) if field.name != "labels"])  # labels: a file
@click.pass_context
def train(
    ctx: click.Context,
    data: Path | None,
    labels: Path | None,
    output: Path | None,
    folder: Path | None,
    resume: bool,
    force: bool,
    recipe: str | None,
    time_limit: float | None,
    threads: int | None,
    device: str,
    verify: bool,
    compiled: bool,
    deterministic: bool,
    quiet: bool,
    **settings: Any,
) -> None:
    """Train a network on Fashion-MNIST or on your own pictures, and write its weights.

    No finished epoch is lost: after Ctrl-C, SIGTERM or a crash, the same command with --resume produces the same
    weights as an uninterrupted run (bit for bit on a CPU without --time-limit, with as many threads). Settings and the
    time limit need not be given again; --data, -o, --run, --threads, --device, --compile, --deterministic and
    --no-verify do.

    \b
    Examples:
      vidclf train --model lean --data FOLDER --time-limit 20m -o mine.safetensors
      vidclf train --from lean --data FOLDER --epochs 20 -o mine.safetensors
      vidclf train --recipe v2-b-flip --epochs 30 --run runs/v2
      vidclf train --model lean-small --distill lean-large --views 16 --validation 0.02 --run runs/small
    """
    with suppress(ValueError):  # this is not the main thread
        signal(SIGTERM, default_int_handler)  # whatever ends the run, it says how to continue
    check_data(data)
    given = {name for name in settings if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT}
    names = tuple(read_labels(labels)) if labels else ()
    config = Config(labels=names, **_with_recipe(recipe, settings, given))
    folder = folder or Path("runs") / f"{config.model}-{config.seed}"
    if resume:
        own = RECIPES[recipe].keys() if recipe else set()
        config = _continued(folder, config, given | own | ({"labels"} if labels else set()))
    output = output or folder / f"{config.model}.safetensors"
    checkpoint.check_name(output)
    if resume and force:
        raise UsageError("--resume continues a run and --force starts it again: give only one of them")
    if resume and not folder.is_dir():
        raise UsageError(f"{folder}: nothing to resume: no such folder")
    inputs = _files_read(config, labels)
    for written in (RunFiles(folder).all, [output]):
        refuse_clashes(inputs, written)
    if not (resume or force):
        check_unused(folder)
    replace = check_output(output, folder, resume, force)
    for target in (RunFiles(folder).config, output):
        check_target(target)

    import torch

    from vidclf.models.device import choose_device
    from vidclf.training import evaluation, loop
    from vidclf.training.data import has_validation
    from vidclf.training.progress import Progress

    if threads:
        set_threads(threads)
    torch.set_num_threads(cores())
    torch.use_deterministic_algorithms(deterministic)
    progress = Progress(quiet=quiet)
    earlier = _written(folder)
    for line in _idle(config, given, has_validation(data)):
        progress.warn(line)
    try:
        metrics = loop.train(
            config,
            folder,
            output,
            data,
            verify=verify,
            resume=resume,
            force=force,
            replace=replace,
            time_limit=time_limit,
            device=choose_device(device),
            compiled=compiled,
            progress=progress,
            command=_spelled(ctx),
        )
    except KeyboardInterrupt:
        begun = resume or _written(folder) != earlier  # with --force there may be a run that this one was to replace
        how = f"the same command with --resume continues {folder}" if begun else "nothing was started"
        click.echo(f"\ninterrupted; {how}", err=True)
        ctx.exit(INTERRUPTED)
    if not quiet:
        click.echo(evaluation.table(metrics), err=True)


def _files_read(config: Config, labels: Path | None) -> list[tuple[str, Path]]:
    """The files that a run must not replace, and what they are."""
    files = [("the starting weights", checkpoint.find(config.start))] if config.start else []
    files += [("a teacher", checkpoint.find(teacher)) for teacher in config.distill]
    return files + ([("the file of --labels", labels)] if labels else [])


def _written(folder: Path) -> int | None:
    """When the run in a folder began, in nanoseconds; None if there is none."""
    config = RunFiles(folder).config
    return config.stat().st_mtime_ns if config.exists() else None


def _spelled(ctx: click.Context) -> str:
    """The command that trains the same weights: the options given, without this machine's paths."""
    words = ["vidclf", "train"]
    skip = {"output", "folder", "resume", "force", "quiet", "debug", "device"}
    for option in ctx.command.params:
        name = option.name or ""
        if name in skip or ctx.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        value = ctx.params[name]
        if name == "data":
            words += ["--data", "FOLDER"]
        elif name == "labels":
            words += ["--labels", "FILE"]
        elif name == "start":
            words += ["--from", Path(value).name]
        elif isinstance(value, tuple):
            words += [word for item in value for word in (option.opts[0], Path(str(item)).name)]
        elif isinstance(value, bool):
            words.append(option.opts[0] if value else option.secondary_opts[0])
        elif name == "time_limit":
            words += ["--time-limit", f"{value:.10g}s"]  # 100 years, the longest, are ten digits
        else:
            words += [option.opts[-1], str(value)]
    return shlex.join(words)
