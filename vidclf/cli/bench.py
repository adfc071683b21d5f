"""`vidclf bench`: measures vidclf on this machine, against the loops it replaces."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidclf.cli.assemble import RunOptions, assemble
from vidclf.cli.console import make_console, set_up_logging
from vidclf.cli.json_file import write_json
from vidclf.cli.options import FilePath, json_option, pipeline_options, with_options
from vidclf.cli.reports import check_reports, files_read
from vidclf.errors import UsageError
from vidclf.models.checkpoint import find
from vidclf.recipe import find_recipe
from vidclf.resources import shipped
from vidclf.threads import granted

if TYPE_CHECKING:
    from vidclf.bench.setting import Setting

SCALES = {"cores": (1, 2), "batch": (1, 2, 4, 8, 16, 32, 64), "cameras": (1, 2, 4, 8, 16)}
SCALES_OBJECTS, SCALES_SIZES = (0, 1, 4, 16, 64), ("240p", "360p", "720p", "1080p", "4K")
BATCH = click.IntRange(1, 65_536)  # as in the stage classify

figures_option = json_option("Write the figures as JSON; - is stdout.")
repeat_option = click.option(
    "--repeat", type=click.IntRange(min=1), default=5, show_default=True, help="Number of rounds; shows the median."
)
# An optional CLIP, the options that choose what is measured, and those of `run`.
setting_options = with_options(
    [
        click.argument("clip", required=False, type=FilePath(path_type=Path)),
        click.option(
            "--codec",
            default="libx264",
            show_default=True,
            help="Codec or encoder; supervision's loop has only mp4v.",
        ),
        repeat_option,
        figures_option,
        pipeline_options,
    ]
)


class BenchGroup(click.Group):
    """`bench CLIP` is `bench pipeline CLIP`: the comparison needs no name."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["pipeline", *args]
        return super().parse_args(ctx, args)


@click.group(cls=BenchGroup, context_settings={"help_option_names": ["-h", "--help"]})
def bench() -> None:
    """Measure vidclf on this machine: `vidclf bench [CLIP]` compares it with the loop you would otherwise write.

    Each stage alone, the whole pipeline and the serial loops run interleaved, the loops in a process of their own, with
    the same weights, sizes, thresholds and codec; `vidclf bench pipeline --help` lists the options. `python -m
    vidclf.bench.report PAGE.md` makes tables and plots of the JSON files.

    \b
    Examples:
      vidclf bench
      vidclf bench in.mp4 -p person --detector-weights yolo11n.pt --json person.json
    """


@bench.command()
@setting_options
@click.option(
    "--memory/--no-memory", default=True, show_default=True, help="Also measure peak memory, in separate processes."
)
@click.option("--others/--no-others", default=True, show_default=True, help="Also measure other libraries' loops.")
def pipeline(
    clip: Path | None, codec: str, repeat: int, json_file: str | None, memory: bool, others: bool, **options: Any
) -> None:
    """Measure the stages alone, the pipeline and the loops it replaces; same as `vidclf bench [CLIP]`.

    \b
    Example:
      vidclf bench pipeline in.mp4 --codec mpeg4 --repeat 5 --json -
    """
    from vidclf.bench.alone import measure_alone
    from vidclf.bench.apart import SERIAL
    from vidclf.bench.compare import PIPELINE, compare
    from vidclf.bench.report import comparison

    with _setting(clip, codec, json_file, options) as setting:
        found = compare(setting, repeat, tell, others)
        if memory:
            tell("memory: each in its own process")
            found["memory"] = {name: measure_alone(setting, name)["peak_rss_mb"] for name in (PIPELINE, SERIAL)}
    _give("pipeline", found, json_file, comparison)


@bench.command()
@click.option("--frames", type=click.IntRange(min=100), default=20_000, show_default=True, help="Frames per round.")
@click.option("--stages", type=click.IntRange(min=1, max=100), default=6, show_default=True, help="Empty stages.")
@repeat_option
@figures_option
def engine(frames: int, stages: int, repeat: int, json_file: str | None) -> None:
    """Measure the engine's own cost: the time a frame takes to pass through stages that do nothing.

    \b
    Example:
      vidclf bench engine --json -
    """
    from vidclf.bench.engine import engine_cost

    check_reports({"--json": json_file})
    costs = sorted(engine_cost(frames, stages) for _ in range(repeat))
    figures = {
        "frames": frames,
        "stages": stages,
        "us_per_frame": [round(cost, 2) for cost in costs],
        "median_us_per_frame": round(statistics.median(costs), 2),
    }
    spread = f"{costs[0]:.1f} to {costs[-1]:.1f}"
    words = f"{statistics.median(costs):.1f} us per frame over {stages} empty stages (median of {repeat}, {spread})"
    _give("engine", figures, json_file, lambda _: words)


@bench.command()
@click.option("--weights", default="lean", show_default=True, metavar="W", help="Classifier weights.")
@click.option("--backend", default="auto", show_default=True, help="Runtime, as in the stage classify.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:N.")
@click.option("--batch", "batches", type=BATCH, multiple=True, help="Batch size; repeatable.")
@repeat_option
@figures_option
def classifier(
    weights: str, backend: str, device: str, batches: tuple[int, ...], repeat: int, json_file: str | None
) -> None:
    """Measure crops per second by batch size, against the predecessor's SimpleCNN in eager torch, crop by crop.

    \b
    Example:
      vidclf bench classifier --batch 1 --batch 64
    """
    from vidclf.bench.parts import BATCHES
    from vidclf.bench.parts import classifier as measure
    from vidclf.bench.report import classifier_table

    check_reports({"--json": json_file}, [("the weights", find(weights))])
    found = measure(weights, backend, device, batches or BATCHES, repeat, tell)
    _give("classifier", found, json_file, classifier_table)


@bench.command()
@setting_options
def start(clip: Path | None, codec: str, repeat: int, json_file: str | None, **options: Any) -> None:
    """Measure the seconds that `vidclf --help` and a run of a single frame take, with warm caches.

    \b
    Example:
      vidclf bench start in.mp4 -p person --detector-weights yolo11n.pt
    """
    from vidclf.bench.parts import starts
    from vidclf.bench.report import start_table

    with _setting(clip, codec, json_file, options) as setting:
        found = {"setting": setting.describe(), "seconds": starts(setting, repeat, tell)}
    _give("start", found, json_file, start_table)


@bench.command()
@setting_options
@click.option("--by", "wanted", multiple=True, type=click.Choice([*SCALES, "size", "objects"]), help="Only these.")
@click.option("--cores", multiple=True, type=click.IntRange(min=1), help="Core counts.")
@click.option("--batch", multiple=True, type=BATCH, default=SCALES["batch"], help="Batch sizes.")
@click.option("--cameras", multiple=True, type=click.IntRange(min=1), default=SCALES["cameras"], help="Source counts.")
def scaling(
    clip: Path | None,
    codec: str,
    repeat: int,
    json_file: str | None,
    wanted: tuple[str, ...],
    cores: tuple[int, ...],
    batch: tuple[int, ...],
    cameras: tuple[int, ...],
    **options: Any,
) -> None:
    """Measure how speed depends on cores, batch, cameras, picture size and objects per frame.

    \b
    Examples:
      vidclf bench scaling in.mp4 --max-frames 200 --json scaling.json
      vidclf bench scaling in.mp4 --by cameras --cameras 1 --cameras 32 --device cuda
    """
    from vidclf.bench import scaling as by
    from vidclf.bench.report import scaling_table

    there = granted()
    if (most := max(cores, default=1)) > there:
        raise UsageError(f"--cores must be 1 to {there} on this machine, got {most}")
    cores = cores or tuple(count for count in SCALES["cores"] if count <= there)
    with _setting(clip, codec, json_file, options) as setting:
        curves: dict[str, Callable[[], dict[str, Any]]] = {
            "cores": lambda: by.by_cores(setting, cores, repeat, tell),
            "batch": lambda: by.by_batch(setting, batch, repeat, tell),
            "cameras": lambda: by.by_cameras(setting, cameras, repeat, tell),
            "size": lambda: by.by_size(setting, SCALES_SIZES, repeat, tell),
            "objects": lambda: by.by_objects(setting, SCALES_OBJECTS, repeat, tell),
        }
        found = {"setting": setting.describe(), "curves": [curves[name]() for name in wanted or curves]}
    _give("scaling", found, json_file, scaling_table)


def tell(line: str) -> None:
    """Progress, on stderr."""
    click.echo(line, err=True)


@contextmanager
def _setting(clip: Path | None, codec: str, json_file: str | None, options: dict[str, Any]) -> Iterator[Setting]:
    """The setting that the options describe; its output folder is removed at the end."""
    from vidclf.bench.setting import Setting

    clip = clip or shipped("samples") / "wardrobe.mp4"
    if not clip.is_file():
        raise UsageError(f"no such file: {clip}")
    options["publish"] = None  # the environment may set it for other runs; these frames must not be published
    spoken = {name: options.pop(name) for name in ("quiet", "debug")}
    with tempfile.TemporaryDirectory(prefix="vidclf-bench-", ignore_cleanup_errors=True) as folder:
        set_up_logging(make_console(spoken["quiet"]), spoken["debug"])
        items = assemble(RunOptions(**options), str(clip), Path(folder) / "vidclf.mp4", None)
        inputs = [("the clip", clip), ("the pipeline file", find_recipe(options["pipeline"])), *files_read(items)]
        check_reports({"--json": json_file}, inputs, force=options["force"])
        yield Setting.of(clip, items, Path(folder), Path(options["pipeline"]).stem, codec)


def _give(kind: str, found: dict[str, Any], json_file: str | None, words: Callable[[dict[str, Any]], str]) -> None:
    """Print the figures on stdout, and write them to `json_file` with a description of this machine."""
    from vidclf.bench.machine import describe

    if json_file:
        write_json({"kind": kind, "machine": describe()} | found, json_file)
    if json_file != "-":
        click.echo(words(found))
