import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.models.originals import FashionCNNV2, make
from vidclf.errors import UsageError
from vidclf.models.importers import import_weights, match
from vidclf.preprocess import Preprocess

CROPS = torch.randint(0, 256, (6, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def save_a(path: Path, network: nn.Module) -> Path:
    """As A's trainer does, its optimiser's state included."""
    optimizer = torch.optim.SGD(network.parameters(), lr=0.015, momentum=0.9, nesterov=True)
    torch.save(
        {
            "epoch": 41,
            "num_iteration": 8862,
            "best_accuracy": 0.9351,
            "model_state_dict": network.state_dict(),
            "optimizer_state_dict": optimizer.state_dict(),
        },
        path,
    )
    return path


@pytest.mark.parametrize("name", ["simple-cnn", "resnet18"])
def test_a_checkpoint_of_a_gives_the_logits_it_gave_there(tmp_path: Path, name: str) -> None:
    network = make(name)
    saved = network.inner if name == "resnet18" else network
    assert isinstance(saved, nn.Module)
    model, facts = import_weights(save_a(tmp_path / "model_best.pth.tar", saved))
    assert facts == {"imported_from": "model_best.pth.tar", "epochs": 42, "validation_top1": 93.51}
    assert (model.name, model.preprocess) == (name, Preprocess(aspect="letterbox", mask=True))
    with torch.inference_mode():
        wanted = network((CROPS / 255 - 0.1307) / 0.3081)  # torchvision's ToTensor and Normalize
        torch.testing.assert_close(model(CROPS), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "modern"), [("v1", True), ("v2", True), ("v3", True), ("v2", False)], ids=["v1", "v2", "v3", "old v2"]
)
def test_the_parameters_of_b_give_the_logits_they_gave_there(tmp_path: Path, name: str, modern: bool) -> None:
    network = make(name)
    tensors = network.state_dict()
    if not modern:  # torch 0.4.0 did not count batches
        tensors = {key: value for key, value in tensors.items() if not key.endswith("num_batches_tracked")}
    torch.save(tensors, tmp_path / "params.pkl", _use_new_zipfile_serialization=modern)
    model, facts = import_weights(tmp_path / "params.pkl")
    assert facts == {"imported_from": "params.pkl"}
    assert (model.name, model.preprocess) == (name, Preprocess(aspect="squash", mask=False))
    with torch.inference_mode():
        torch.testing.assert_close(model(CROPS), network(CROPS / 255), rtol=1e-4, atol=1e-4)


def test_layers_of_other_names_are_known_by_their_shapes(tmp_path: Path) -> None:
    network = make("v2")
    renamed = {f"net.{key.replace('cnn_', 'conv')}": value for key, value in network.state_dict().items()}
    torch.save(renamed, tmp_path / "renamed.pkl")
    model, _ = import_weights(tmp_path / "renamed.pkl")
    with torch.inference_mode():
        torch.testing.assert_close(model(CROPS), network(CROPS / 255), rtol=1e-4, atol=1e-4)


def test_alike_layers_are_taken_in_order_and_others_must_not_be_there() -> None:
    one, two, three = torch.zeros(2, 2), torch.ones(2, 2), torch.full((3, 2), 2.0)
    ours = {"0.weight": one, "1.weight": one, "2.weight": three}
    found = match({"c.weight": three, "a.weight": one, "b.weight": two}, ours)
    assert found is not None
    assert [float(found[f"{i}.weight"][0, 0]) for i in range(3)] == [0, 1, 2]
    assert match({"a.weight": one, "c.weight": three}, ours) is None
    assert match({"a.weight": one, "b.bias": two, "c.weight": three}, ours) is None


@pytest.mark.parametrize("modern", [True, False], ids=["zip", "before torch 1.6"])
def test_a_whole_network_needs_trust_and_then_no_code_of_its_own(
    tmp_path: Path, modern: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = make("v1")
    network.more = [nn.functional.relu, torch.float32, torch.device("cpu"), torch.Size([2])]  # type: ignore[assignment]
    torch.save(network, tmp_path / "v1.pkl", _use_new_zipfile_serialization=modern)
    with torch.inference_mode():
        wanted = network(CROPS / 255)
    monkeypatch.setitem(sys.modules, "tests.models.originals", None)  # as where the file is imported
    with pytest.raises(UsageError, match=r"v1\.pkl: a pickle of more than tensors.*--trust-pickle"):
        import_weights(tmp_path / "v1.pkl")
    model, _ = import_weights(tmp_path / "v1.pkl", trust_pickle=True)
    with torch.inference_mode():
        torch.testing.assert_close(model(CROPS), wanted, rtol=1e-4, atol=1e-4)


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, (f"open({self.path!r}, 'w')",)


@pytest.mark.parametrize("trust", [False, True])
@pytest.mark.parametrize("with_torch", [False, True], ids=["pickle", "torch.save"])
def test_a_trap_does_not_spring(tmp_path: Path, trust: bool, with_torch: bool) -> None:
    trap = {"cnn_1.weight": Trap(tmp_path / "sprung")}
    if with_torch:
        torch.save(trap, tmp_path / "trap.pkl")
    else:
        (tmp_path / "trap.pkl").write_bytes(pickle.dumps(trap))
    with pytest.raises(UsageError, match=r"trap\.pkl: "):
        import_weights(tmp_path / "trap.pkl", trust_pickle=trust)
    assert not (tmp_path / "sprung").exists()


def test_a_pickled_network_without_tensors_is_refused(tmp_path: Path) -> None:
    network = nn.Linear(2, 3)
    network.__dict__.pop("_parameters")
    torch.save(network, tmp_path / "v1.pkl")
    with pytest.raises(UsageError, match=r"v1\.pkl: damaged, or not a network \(AttributeError\)$"):
        import_weights(tmp_path / "v1.pkl", trust_pickle=True)


@pytest.mark.parametrize("name", ["os.mkdir", "serialization.os.mkdir"])
def test_a_program_that_is_found_in_torch_is_not_run(tmp_path: Path, name: str) -> None:
    path, made = tmp_path / "trap.pkl", tmp_path / "made"
    text = str(made).encode()
    # Protocol 4: two texts become the global of that module and name, which is called with the third.
    words = b"".join(b"\x8c" + bytes([len(word)]) + word for word in (b"torch", name.encode()))
    trap = b"\x80\x04" + words + b"\x93\x8c" + bytes([len(text)]) + text + b"\x85R."
    torch.save({}, path, _use_new_zipfile_serialization=False)
    head = path.read_bytes().partition(pickle.dumps({}, 2))[0]
    path.write_bytes(head + trap + pickle.dumps([], 2))
    with pytest.raises(UsageError, match=r"trap\.pkl: damaged, or not a PyTorch file \(TypeError\)$"):
        import_weights(path, trust_pickle=True)
    assert not made.exists()


@pytest.mark.parametrize("modern", [True, False], ids=["zip", "before torch 1.6"])
@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_a_damaged_file_is_refused(tmp_path: Path, share: float, modern: bool) -> None:
    path = tmp_path / "v1_params.pkl"
    torch.save(make("v1").state_dict(), path, _use_new_zipfile_serialization=modern)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(UsageError, match=r"v1_params\.pkl: damaged, or not a PyTorch file$"):
        import_weights(path)


@pytest.mark.parametrize("trust", [False, True])
def test_what_is_no_pickle_is_not_called_one(tmp_path: Path, trust: bool) -> None:
    (tmp_path / "notes.txt").write_text("{}")
    with pytest.raises(UsageError, match=r"notes\.txt: damaged, or not a PyTorch file$"):
        import_weights(tmp_path / "notes.txt", trust_pickle=trust)


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pkl", tmp_path):
        with pytest.raises(UsageError, match=f"{path.name}: no such file"):
            import_weights(path)


def test_other_networks_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "params.pkl"
    torch.save(make("v1").state_dict(), path)
    with pytest.raises(UsageError, match=r"does not contain the tensors of v2: it has 8, the first is cnn_1.weight of"):
        import_weights(path, "v2")
    with pytest.raises(UsageError, match=r"the predecessors have no network 'lean' \(they have: simple-cnn, resnet18,"):
        import_weights(path, "lean")
    torch.save(nn.Linear(5, 10).state_dict(), path)
    with pytest.raises(
        UsageError, match=r"the tensors of any of simple-cnn, resnet18, v1, v2, v3: it has 2, the first"
    ):
        import_weights(path)
    for content, words in (
        ({}, "contains a dict, not a network"),
        ([1, 2], "a list"),
        ({"epoch": 3}, "'epoch' is not a tensor"),
    ):
        torch.save(content, path)
        with pytest.raises(UsageError, match=words):
            import_weights(path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda value: value.to("meta"), "'cnn_1.weight' is not a dense tensor of real numbers"),
        (lambda value: value.to_sparse(), "'cnn_1.weight' is not a dense tensor of real numbers"),
        (lambda value: value.to(torch.complex64), "'cnn_1.weight' is not a dense tensor of real numbers"),
        (lambda value: value * torch.nan, "it has numbers that are not finite or too large, in 0.bias for one"),
        (lambda value: value.double() * 1e300, "it has numbers that are not finite or too large, in 0.bias for one"),
    ],
    ids=["meta", "sparse", "complex", "nan", "too large"],
)
def test_tensors_that_a_network_cannot_have_are_refused(
    tmp_path: Path, change: Callable[[Tensor], Tensor], told: str
) -> None:
    path = tmp_path / "params.pkl"
    torch.save({name: change(value) for name, value in make("v1").state_dict().items()}, path)
    with pytest.raises(UsageError) as raised:
        import_weights(path)
    assert str(raised.value) == f"{path}: {told}"


@pytest.mark.parametrize(("epoch", "accuracy"), [(True, float("nan")), (10**400, 10**400), (1.5, True)])
def test_facts_that_are_no_numbers_are_left_out(tmp_path: Path, epoch: object, accuracy: object) -> None:
    path = tmp_path / "best.tar"
    torch.save({"model_state_dict": make("v1").state_dict(), "epoch": epoch, "best_accuracy": accuracy}, path)
    assert import_weights(path)[1] == {"imported_from": "best.tar"}


def test_other_classes_want_their_names(tmp_path: Path) -> None:
    path = tmp_path / "params.pkl"
    torch.save(FashionCNNV2(classes=3).state_dict(), path)
    with pytest.raises(UsageError, match=r"has 3 classes, but Fashion-MNIST has 10: name its classes with --labels"):
        import_weights(path)
    with pytest.raises(UsageError, match=r"has 3 classes, but 2 were given: name its classes with --labels"):
        import_weights(path, labels=["cat", "dog"])
    assert import_weights(path, labels=["cat", "dog", "cow"])[0].labels == ("cat", "dog", "cow")
    assert json.dumps(import_weights(path, labels=["a", "b", "c"])[1])  # facts go into a header
