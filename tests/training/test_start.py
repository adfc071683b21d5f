"""Runs that go on from trained weights."""

import io
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.idx import write_bars
from tests.pictures import COLOURS, write_classes
from vidclf.errors import UsageError
from vidclf.models import create, load, save
from vidclf.models.checkpoint import read_header
from vidclf.models.zoo import FASHION_MNIST, NETWORKS, last_layer
from vidclf.preprocess import Preprocess
from vidclf.training.config import Config
from vidclf.training.loop import train
from vidclf.training.progress import Progress
from vidclf.training.start import known_pictures, load_start, settings_of, take_over

# So small a rate that the weights stay where they begin.
STILL = {"model": "v2", "epochs": 1, "batch": 32, "lr": 1e-6, "ema": 0.0, "validation": 0.1, "seed": 7}


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """Weights of `v2` for ten classes, drawn by chance, with a normalisation of their own."""
    torch.manual_seed(99)
    return save(tmp_path / "before.safetensors", create("v2", mean=0.25, std=0.75))


def run(folder: Path, pictures: Path, config: Config, said: io.StringIO | None = None, **options: object) -> Path:
    progress = options.pop("progress", Progress(said or io.StringIO()))
    train(config, folder, folder / "out.safetensors", pictures, verify=False, progress=progress, **options)  # type: ignore[arg-type]
    return folder / "out.safetensors"


def moved(one: Path, other: Path) -> set[str]:
    """The weights that are more than a hair apart; batch statistics follow the pictures and are left out."""
    a, b = load_file(one), load_file(other)
    names = {name for name in a if "running" not in name and "num_batches" not in name}
    return {name for name in names if a[name].shape != b[name].shape or not torch.allclose(a[name], b[name], atol=1e-3)}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_last_layer_is_what_depends_on_the_number_of_classes(name: str) -> None:
    model = create(name, ["a", "b", "c"])
    found = last_layer(model)
    assert sorted(key.rpartition(".")[2] for key in found) == ["bias", "weight"]
    assert all(len(model.network.state_dict()[key]) == 3 for key in found)


def test_weights_are_taken_over_with_the_last_layer_of_the_same_classes() -> None:
    torch.manual_seed(1)
    before, same, other = create("lean"), create("lean", mean=0.1), create("lean", ["a", "b", *FASHION_MNIST[2:]])
    drawn = {name: tensor.clone() for name, tensor in other.network.state_dict().items()}
    before.network.blocks[0].first[1].running_mean.fill_(5.0)  # type: ignore[index, union-attr]
    take_over(same, before)
    take_over(other, before)
    theirs = before.network.state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in same.network.state_dict().items())
    assert float(same.mean) == pytest.approx(0.1)
    for name, tensor in other.network.state_dict().items():
        assert torch.equal(tensor, drawn[name] if name in ("head.weight", "head.bias") else theirs[name])


def test_a_run_begins_with_the_weights_and_keeps_their_normalisation(tmp_path: Path, before: Path) -> None:
    pictures, said = write_bars(tmp_path / "bars"), io.StringIO()
    config = Config(**STILL, start=str(before), normalise="start")  # type: ignore[arg-type]
    out = run(tmp_path / "run", pictures, config, said)
    assert moved(out, before) == set()
    header = read_header(out)
    assert (header["mean"], header["std"], header["config"]["start"]) == (0.25, 0.75, str(before))
    assert f"\nstarting from all weights of {before}\n" in said.getvalue()
    out = run(tmp_path / "other", pictures, Config(**STILL, start=str(before)))  # type: ignore[arg-type]
    assert moved(out, before) == {"mean", "std"}


def test_for_other_classes_the_last_layer_is_drawn_anew(tmp_path: Path, before: Path) -> None:
    pictures, said = write_classes(tmp_path / "colours"), io.StringIO()
    config = Config(**STILL, start=str(before), normalise="start")  # type: ignore[arg-type]
    out = run(tmp_path / "run", pictures, config, said)
    assert moved(out, before) == {f"network.{name}" for name in last_layer(load(before))}
    assert load(out).labels == tuple(COLOURS)
    told = "because it has other classes: 10 classes: T-shirt/top, Trouser,"
    assert f"starting from the weights of {before}, but with a fresh last layer, {told}" in said.getvalue()


def test_the_same_classes_in_another_order_keep_the_last_layer(tmp_path: Path) -> None:
    pictures = write_classes(tmp_path / "colours")
    (pictures / "green").rename(pictures / "green_ish")
    labels = ("red", "green/ish", "blue")
    before = save(tmp_path / "before.safetensors", create("v2", labels, Preprocess(channels=3, aspect="squash")))
    settings = STILL | {"channels": 3, "epochs": 12, "lr": 0.02}
    first = run(tmp_path / "first", pictures, Config(**settings, start=str(before)))  # type: ignore[arg-type]
    assert load(first).labels == labels and load(first).preprocess.aspect == "squash"
    assert read_header(first)["metrics"]["top1"] == 100
    settings |= {"epochs": 1, "lr": 1e-6, "start": str(first), "normalise": "start"}
    second = run(tmp_path / "second", pictures, Config(**settings))  # type: ignore[arg-type]
    assert read_header(second)["metrics"]["top1"] == 100  # what it knows is still called by the right names


class Interrupt(Progress):
    """Ctrl-C in the middle of an epoch."""

    def live(self, text: str) -> None:
        if text.startswith("epoch 2, step 2 "):
            raise KeyboardInterrupt


def test_interrupted_and_resumed_is_undisturbed_bit_for_bit(tmp_path: Path, before: Path) -> None:
    pictures = write_bars(tmp_path / "bars")
    settings = STILL | {"epochs": 3, "lr": 0.01, "ema": 0.9, "start": str(before), "normalise": "start"}
    config = Config(**settings)  # type: ignore[arg-type]
    whole = run(tmp_path / "whole", pictures, config)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", pictures, config, progress=Interrupt(quiet=True))
    torch.rand(7)
    broken = run(tmp_path / "broken", pictures, config, resume=True)
    for one, other in ((whole, broken), (whole.with_name("last.safetensors"), broken.with_name("last.safetensors"))):
        a, b = load_file(one), load_file(other)
        assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_resuming_wants_the_same_weights_to_begin_with(tmp_path: Path, before: Path) -> None:
    pictures, config = write_bars(tmp_path / "bars"), Config(**STILL | {"epochs": 2}, start=str(before))  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", pictures, config, progress=Interrupt(quiet=True))
    with pytest.raises(UsageError, match=r"was started with start=.*before\.safetensors \(now none\): resume it"):
        run(tmp_path / "run", pictures, Config(**STILL | {"epochs": 2}), resume=True)  # type: ignore[arg-type]
    save(before, create("v2"))
    told = r"was started with other starting weights: resume it with the same --from$"
    with pytest.raises(UsageError, match=told):
        run(tmp_path / "run", pictures, config, resume=True)


def test_pictures_that_are_known_already_validate_with_a_warning(tmp_path: Path) -> None:
    weights = str(save(tmp_path / "a.safetensors", create("v1"), data="sha256:1", config={"validation": 0.02}))
    told = f"warning: {weights} has learned pictures that are to validate this run"
    assert known_pictures(Config(start=weights, validation=0.05), "sha256:1", False).startswith(told)
    assert known_pictures(Config(start=weights, validation=0.02), "sha256:1", False) == ""
    assert known_pictures(Config(start=weights, validation=0.05), "sha256:2", False) == ""
    assert known_pictures(Config(), "sha256:1", False) == ""
    own = known_pictures(Config(start=weights, validation=0.05), "sha256:1", has_validation=True)
    assert own == ""  # FOLDER/valid was never learned


def test_settings_follow_from_the_weights(tmp_path: Path) -> None:
    assert settings_of("lean") == {"model": "lean", "size": 28, "channels": 1, "normalise": "start"}
    colour = save(tmp_path / "colour.safetensors", create("v1", ["a", "b"], Preprocess(size=32, channels=3)))
    assert settings_of(str(colour)) == {"model": "v1", "size": 32, "channels": 3, "normalise": "start"}
    assert load_start(Config()) is None


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"model": "v1"}, "weights lean are for model lean, not v1"),
        ({"size": 32}, "weights lean take crops of size 28 and channels 1, not size 32 and channels 1"),
        ({"channels": 3}, "weights lean take crops of size 28 and channels 1, not size 28 and channels 3"),
    ],
)
def test_other_networks_and_other_crops_are_refused(settings: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError) as raised:
        load_start(Config(start="lean", **settings))  # type: ignore[arg-type]
    assert str(raised.value) == told


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"start": "lean", "pretrained": True}, "--from and --pretrained cannot be combined: give only one of them"),
        ({"start": "lean", "init": "b"}, "--from has weights, and --init is for fresh ones: init must be own, got 'b'"),
        ({"normalise": "start"}, "normalise start needs --from"),
    ],
)
def test_settings_that_exclude_each_other_are_refused(settings: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError) as raised:
        Config(**settings)  # type: ignore[arg-type]
    assert str(raised.value) == told
