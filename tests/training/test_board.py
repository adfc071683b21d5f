import shutil
import sys
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from vidclf.training import evaluation
from vidclf.training.board import MISSING, Board, confusion_figure


def row(epoch: int, loss: float) -> dict[str, float]:
    return {"epoch": epoch, "rate": 0.1, "loss": loss, "top1": 50.0, "valid_loss": 2 * loss, "valid_top1": 40.0}


def read(folder: Path, part: str) -> EventAccumulator:
    return EventAccumulator(str(folder / "tensorboard" / part)).Reload()


def curve(folder: Path, part: str, name: str) -> list[tuple[int, float]]:
    return [(event.step, round(event.value, 4)) for event in read(folder, part).Scalars(name)]


def test_the_curves_of_training_and_validation_share_their_names(tmp_path: Path) -> None:
    board = Board(tmp_path)
    board.row(row(1, 0.5))
    board.row(row(2, 0.25) | {"loss": None, "seconds": 3.0})
    board.close()
    assert curve(tmp_path, "train", "loss") == [(1, 0.5)]
    assert curve(tmp_path, "valid", "loss") == [(1, 1.0), (2, 0.5)]
    assert read(tmp_path, "train").Tags()["scalars"] == ["rate", "loss", "top1"]
    assert read(tmp_path, "valid").Tags()["scalars"] == ["loss", "top1"]


def test_the_test_has_its_figures_and_its_confusion_matrix(tmp_path: Path) -> None:
    counts = evaluation.confusion(torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 1, 1]), 2)
    assert counts.tolist() == [[1, 1], [0, 2]]
    for _ in range(2):  # a finished run that is resumed tests again
        board = Board(tmp_path, epoch=3)
        board.confusion("valid", counts, ["cat", "dog"], epoch=3)
        board.test({"top1": 75.0, "top5": 100.0, "ece": 1.0}, counts, ["cat", "dog"], epoch=3)
        board.close()
    assert curve(tmp_path, "test", "top1") == [(3, 75.0)]
    assert read(tmp_path, "test").Tags()["scalars"] == ["top1", "top5"]
    for part in ("valid", "test"):
        (picture,) = read(tmp_path, part).Images("confusion matrix")
        assert picture.step == 3
        assert picture.encoded_image_string.startswith(b"\x89PNG")


def test_a_name_of_a_class_may_look_like_a_formula_or_have_unknown_letters(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    """It ended the run after all its epochs."""
    board = Board(tmp_path)
    board.confusion("test", torch.eye(3), ["$\\bad{_$ x", "日本語", "b&<b>"], epoch=1)
    board.close()
    assert len(read(tmp_path, "test").Images("confusion matrix")) == 1
    assert not [warning for warning in recwarn if "Glyph" in str(warning.message)]


def test_a_resumed_run_has_no_step_twice(tmp_path: Path) -> None:
    board = Board(tmp_path)
    for epoch in (1, 2, 3):  # killed before the third was saved
        board.row(row(epoch, 1 / epoch))
    board.close()
    (file,) = (tmp_path / "tensorboard" / "train").iterdir()
    file.write_bytes(file.read_bytes()[:-3])  # in the middle of a record
    board = Board(tmp_path, epoch=2)
    board.row(row(3, 0.1))
    board.close()
    assert len(list((tmp_path / "tensorboard" / "train").iterdir())) == 1
    assert curve(tmp_path, "train", "loss") == [(1, 1.0), (2, 0.5), (3, 0.1)]


def test_a_new_run_forgets_the_old_one(tmp_path: Path) -> None:
    for epochs in (3, 1):
        board = Board(tmp_path)
        for epoch in range(1, epochs + 1):
            board.row(row(epoch, epochs))
        board.close()
    assert curve(tmp_path, "valid", "loss") == [(1, 2.0)]


def test_without_tensorboard_one_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    said: list[str] = []
    board = Board(tmp_path, say=said.append)
    board.row(row(1, 0.5))
    board.test({"top1": 1.0}, torch.ones(2, 2), ["a", "b"], 1)
    board.close()
    assert said == [MISSING]
    assert not list(tmp_path.iterdir())


def test_every_row_of_the_matrix_is_a_share_of_its_class() -> None:
    counts = torch.tensor([[30, 10], [0, 0]])  # the second class was never seen
    axes = confusion_figure(counts, ["cat", "dog"]).axes[0]
    assert axes.images[0].get_array().tolist() == [[0.75, 0.25], [0.0, 0.0]]
    assert [text.get_text() for text in axes.texts] == ["0.75", "0.25"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["cat", "dog"]


def test_a_thousand_classes_fit_into_memory() -> None:
    labels = [str(i) for i in range(200)]
    figure = confusion_figure(torch.eye(len(labels)), labels)
    assert figure.get_size_inches().tolist() == [40.0, 40.0]


def test_without_its_folder_the_run_goes_on_without_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Whoever clears away files for TensorBoard, or fills the disk, must not end a training of hours."""
    said: list[str] = []
    board = Board(tmp_path, say=said.append)
    board.row(row(1, 0.5))
    shutil.rmtree(tmp_path / "tensorboard")
    for epoch in (2, 3):
        board.row(row(epoch, 0.25))
    board.test({"top1": 75.0}, torch.eye(2), ["cat", "dog"], epoch=3)
    board.close()
    assert len(said) == 1
    assert said[0].startswith("cannot write TensorBoard's files, so metrics are only in metrics.jsonl (")
    assert capfd.readouterr().err == ""


def test_where_its_folder_cannot_be_made_the_run_goes_on_without_it(tmp_path: Path) -> None:
    (tmp_path / "tensorboard").write_text("a file")
    said: list[str] = []
    board = Board(tmp_path, say=said.append)
    board.row(row(1, 0.5))
    board.close()
    assert len(said) == 1
