from pathlib import Path

import numpy as np
import pytest
import torch

from vidclf.models import create, load
from vidclf.models.checkpoint import read_header
from vidclf.models.classifier import Classifier
from vidclf.training import data, evaluation
from vidclf.training.evaluation import predict


def test_figures_of_a_case_counted_by_hand() -> None:
    #                         a    b    c    d    e    f
    logits = torch.tensor(
        [
            [9.0, 0.0, 1.0, 2.0, 3.0, 4.0],  # a, and is a
            [0.0, 9.0, 1.0, 2.0, 3.0, 4.0],  # b, but is a: not even among the first five
            [0.0, 9.0, 1.0, 2.0, 3.0, 4.0],  # b, and is b
            [0.0, 9.0, 1.0, 2.0, 3.0, 4.0],  # b, but is f: second
        ]
    )
    figures = evaluation.score(logits, torch.tensor([0, 0, 1, 5]), "abcdef")
    assert (figures["correct"], figures["total"], figures["top1"], figures["top5"]) == (2, 4, 50.0, 75.0)
    assert figures["per_class"]["a"] == {"precision": 100.0, "recall": 50.0, "f1": 66.67}
    assert figures["per_class"]["b"] == {"precision": 33.33, "recall": 100.0, "f1": 50.0}
    assert figures["per_class"]["f"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0}
    assert "2 of 4 correct: top-1 50.00 %, top-5 75.00 %" in evaluation.table(figures)


def test_the_temperature_undoes_a_known_overconfidence() -> None:
    random = np.random.default_rng(0)
    honest = torch.from_numpy(random.normal(0, 2, (20_000, 10)))
    chances = torch.softmax(honest, 1).numpy()
    targets = torch.tensor([random.choice(10, p=p / p.sum()) for p in chances])
    assert evaluation.fit_temperature(honest * 3, targets) == pytest.approx(3, rel=0.03)
    sure = evaluation.score(honest * 3, targets, "abcdefghij")["ece"]
    assert evaluation.score(honest * 3, targets, "abcdefghij", temperature=3.0)["ece"] < 1.5 < sure


def test_a_handful_of_crops_and_crops_without_mistakes_tell_no_temperature() -> None:
    targets = torch.arange(200) % 3
    right = 4 * torch.eye(3)[targets]
    wrong = right.roll(1, dims=1)
    assert evaluation.fit_temperature(right, targets) is None
    assert evaluation.fit_temperature(torch.cat([wrong[:1], right[1:2]]), targets[:2]) is None
    assert evaluation.fit_temperature(torch.cat([wrong[:4], right[4:]]), targets) is None
    # 1 in 40 is wrong: log(39 * 2) is how far apart the logits would have to be, and they are 4.
    found = evaluation.fit_temperature(torch.cat([wrong[:5], right[5:]]), targets)
    assert found == pytest.approx(4 / np.log(39 * 2), abs=0.05)


def test_the_shipped_weights_are_as_good_as_their_header_says(shared: Path) -> None:
    model = load("lean")
    test = data.load(shared, "test", model.preprocess)
    figures = evaluation.score(evaluation.predict(model, test.images), test.targets, model.labels, model.temperature)
    assert figures["top1"] >= 94.0
    assert figures["ece"] <= 1.0

    assert abs(figures["correct"] - read_header("lean")["metrics"]["correct"]) <= 3  # rounding differs between CPUs


def test_letters_of_two_cells_keep_the_columns_of_the_table_straight() -> None:
    figures = evaluation.score(torch.eye(2), torch.tensor([0, 1]), ["外套", "Coat"])
    _, wide, narrow, _ = evaluation.table(figures).splitlines()
    assert (wide, narrow) == ("外套      100.00  100.00  100.00", "Coat      100.00  100.00  100.00")


def test_large_crops_take_no_more_memory_than_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    monkeypatch.setattr(Classifier, "__call__", lambda _, part: sizes.append(len(part)) or torch.zeros(len(part), 2))
    for size in (28, 112):
        predict(create("v1", ["a", "b"]), torch.zeros(1030, 1, size, size, dtype=torch.uint8))
    assert sizes == [512, 512, 6] + [32] * 32 + [6]
