"""TensorBoard's view of a run: its curves and its confusion matrices, where TensorBoard is installed."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from vidclf.errors import one_line
from vidclf.training.run_files import RunFiles

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MISSING = (
    'TensorBoard is not installed, so metrics are only written to metrics.jsonl (pip install "vidclf[tensorboard]")'
)
PARTS = ("train", "valid", "test")
CONFUSION = "confusion matrix"


class Board:
    """Event files in FOLDER/tensorboard/{train,valid,test}, so that one chart shows the three curves of a metric.

    epoch: number of finished epochs. Events of later epochs, and of an earlier run, are removed first, so that a
    resumed run has no step twice.
    If TensorBoard is missing, or its files cannot be written, `say` is called once with a message, and the run goes on
    without it.
    """

    def __init__(self, folder: Path, epoch: int = 0, say: Callable[[str], None] = print) -> None:
        self._writers: dict[str, Any] = {}
        self._say = say
        try:
            import matplotlib.figure  # noqa: F401 - for the confusion matrix
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            say(MISSING)
            return
        with self._surviving():
            self._begin(RunFiles(folder), epoch, SummaryWriter)

    def _begin(self, files: RunFiles, epoch: int, make_writer: Callable[[str], Any]) -> None:
        for part in PARTS:
            place = files.tensorboard / part
            old = sorted(place.glob("events.out.tfevents.*"))
            events = _events(old, 0 if part == "test" else epoch)  # the test comes once, at the end
            writer = self._writers[part] = make_writer(str(place))
            for event in events:
                writer.file_writer.add_event(event, event.step, event.wall_time)
            writer.flush()
            for file in old:
                file.unlink()

    def row(self, row: Mapping[str, Any]) -> None:
        """Add the metrics of one epoch, a row of metrics.jsonl; those of validation begin with `valid_`."""
        with self._surviving():
            for name, value in row.items():
                part, _, figure = name.rpartition("_")
                if name not in ("epoch", "seconds") and value is not None:
                    is_valid = part == "valid"
                    self._scalar("valid" if is_valid else "train", figure if is_valid else name, value, row["epoch"])
            self._flush()

    def confusion(self, part: str, counts: Tensor, labels: Sequence[str], epoch: int) -> None:
        """Add the confusion matrix of a part (see `evaluation.confusion`) as a figure, at the end of a run."""
        if self._writers:
            with self._surviving(), warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Glyph .* missing from")  # boxes instead of letters
                self._writers[part].add_figure(CONFUSION, confusion_figure(counts, labels), epoch)
                self._flush()

    def test(self, metrics: Mapping[str, Any], counts: Tensor, labels: Sequence[str], epoch: int) -> None:
        """Add the metrics of the test set, once, at the end; `metrics` may hold more than loss, top1 and top5."""
        with self._surviving():
            for name in ("loss", "top1", "top5"):
                if name in metrics:
                    self._scalar("test", name, metrics[name], epoch)
        self.confusion("test", counts, labels, epoch)

    def close(self) -> None:
        """Write the events that are still in memory."""
        with self._surviving():
            for writer in self._writers.values():
                writer.close()

    @contextmanager
    def _surviving(self) -> Iterator[None]:
        """Files that cannot be written (a full disk, a folder that is gone) must not end a run of hours."""
        before = threading.excepthook
        # The writers' own threads raise it, too.
        threading.excepthook = lambda told: None if isinstance(told.exc_value, OSError) else before(told)
        try:
            yield
        except OSError as error:
            for writer in self._writers.values():
                with suppress(OSError):
                    writer.close()  # and its thread, while nobody is told of it
            self._writers.clear()
            self._say(f"cannot write TensorBoard's files, so metrics are only in metrics.jsonl ({one_line(error)})")
        finally:
            threading.excepthook = before

    def _scalar(self, part: str, name: str, value: float, epoch: int) -> None:
        if self._writers:
            self._writers[part].add_scalar(name, value, epoch)

    def _flush(self) -> None:
        for writer in self._writers.values():
            writer.flush()


def _events(files: Sequence[Path], last: int) -> list[Any]:
    """The events of steps 1 to `last` in these files, each once."""
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    found = {}
    for file in files:
        for event in LegacyEventFileLoader(str(file)).Load():
            tags = [value.tag for value in event.summary.value]
            if 0 < event.step <= last and CONFUSION not in tags:  # written at the end, and again when resumed
                found[event.step, *tags] = event
    return list(found.values())


def confusion_figure(counts: Tensor, labels: Sequence[str]) -> Figure:
    """Plot (classes, classes) counts, one row per true class, as shares of each row."""
    from matplotlib.figure import Figure

    shares = (counts / counts.sum(dim=1, keepdim=True).clamp(min=1)).numpy()
    side = min(0.45 * len(labels) + 2.5, 40.0)  # inches: a thousand classes would take gigabytes
    figure = Figure(figsize=(side, side), dpi=100, layout="constrained")
    axes = figure.add_subplot(xlabel="predicted", ylabel="true", title="Share of each true class")
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    # A name is no formula, even if it has a $.
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right", rotation_mode="anchor", parse_math=False)
    axes.set_yticks(range(len(labels)), labels, parse_math=False)
    for (true, predicted), share in [((i, j), shares[i, j]) for i in range(len(shares)) for j in range(len(shares))]:
        if share >= 0.005:
            colour = "white" if share > 0.5 else "black"
            axes.text(predicted, true, f"{share:.2f}", ha="center", va="center", color=colour, fontsize=8)
    return figure
