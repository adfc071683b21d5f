"""Reads weights saved by the two predecessors' trainers: PyTorch files, whose pickles must not run code.

A is LucasVandroux/Fashion-MNIST-PyTorch: `checkpoint.pth.tar` and `model_best.pth.tar`. B is xuehaouwa/Fashion-MNIST:
`<m>_params.pkl`, a dict of tensors, and `<m>.pkl`, a whole pickled network.
"""

from __future__ import annotations

import pickle
import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vidclf.errors import UsageError
from vidclf.models.classifier import Classifier
from vidclf.models.header import is_number
from vidclf.models.zoo import FASHION_MNIST, MNIST, create
from vidclf.preprocess import Preprocess


class Origin(NamedTuple):
    """How a predecessor made its crops, and the mean and standard deviation of its normalisation (pixels 0..1)."""

    policy: Preprocess
    mean: float
    std: float


# B does not normalise.
A = Origin(Preprocess(aspect="letterbox", mask=True), *MNIST)
B = Origin(Preprocess(aspect="squash", mask=False), 0.0, 1.0)
ORIGINS = {"simple-cnn": A, "resnet18": A, "v1": B, "v2": B, "v3": B}


def import_weights(
    path: Path, name: str | None = None, labels: Sequence[str] | None = None, trust_pickle: bool = False
) -> tuple[Classifier, dict[str, Any]]:
    """A predecessor's network and other facts from its file (imported_from, epoch, validation_top1), for saving.

    name: the architecture it must be; by default the one that matches its tensors.
    labels: the classes, in the order that the network was trained with; by default Fashion-MNIST's ten.
    trust_pickle: also accept a whole pickled network. Only its tensors are built, and no code is loaded; still, use it
    only for files that you trust.
    Raises UsageError if the file is missing or damaged, needs trust, or contains another network, or one with numbers
    that are not finite.
    """
    content = _read(path, trust_pickle)
    facts: dict[str, Any] = {"imported_from": path.name}
    if isinstance(content, Mapping) and "model_state_dict" in content:  # A's, with the state of its optimiser
        epoch, best = content.get("epoch"), content.get("best_accuracy")
        if isinstance(epoch, int) and is_number(epoch):
            facts["epochs"] = epoch + 1
        if isinstance(best, float | int) and is_number(best):
            facts["validation_top1"] = round(100 * best, 2)
        content = content["model_state_dict"]
    tensors = _tensors(path, content)
    heads = [tensor for tensor in tensors.values() if tensor.ndim == 2]
    classes = len(heads[-1]) if heads else 0
    if labels is None and classes in (0, len(FASHION_MNIST)):
        labels = FASHION_MNIST
    if labels is None or classes not in (0, len(labels)):
        given = "Fashion-MNIST has 10" if labels is None else f"{len(labels)} were given"
        raise UsageError(f"{path} has {classes} classes, but {given}: name its classes with --labels")
    for candidate in [name] if name else ORIGINS:
        if candidate not in ORIGINS:
            raise UsageError(f"the predecessors have no network {candidate!r} (they have: {', '.join(ORIGINS)})")
        policy, mean, std = ORIGINS[candidate]
        with torch.device("meta"):  # only shapes, to avoid initialising 30 million numbers
            shape = create(candidate, labels, policy, mean, std)
        if (matched := match(tensors, shape.network.state_dict())) is not None:
            if wrong := [name for name, tensor in matched.items() if not tensor.float().isfinite().all()]:
                raise UsageError(f"{path}: it has numbers that are not finite or too large, in {wrong[0]} for one")
            model = create(candidate, labels, policy, mean, std)
            model.network.load_state_dict(matched, strict=False)  # an old file has no count of batches
            return model.eval(), facts
    wanted = name or f"any of {', '.join(ORIGINS)}"
    first = next(iter(tensors))
    raise UsageError(
        f"{path} does not contain the tensors of {wanted}: it has {len(tensors)}, "
        f"the first is {first} of shape {tuple(tensors[first].shape)}"
    )


def match(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """Their tensors by our names, or None if they do not match.

    Layers match if their tensors have the same names and shapes; several such layers are matched in order. So the
    names of the layers, and the order of other layers, do not matter. A normalisation's count of batches may be
    missing: torch 0.4.0 did not have it, and it is not needed here.
    """
    given, wanted = _layers(theirs), _layers(ours)
    if {key: len(names) for key, names in given.items()} != {key: len(names) for key, names in wanted.items()}:
        return None
    return {
        f"{own}.{leaf}": theirs[f"{other}.{leaf}" if other else leaf]
        for key in wanted
        for own, other in zip(wanted[key], given[key], strict=True)
        for leaf, _ in key
    }


def _layers(tensors: Mapping[str, Tensor]) -> dict[tuple[tuple[str, tuple[int, ...]], ...], list[str]]:
    """The names of the layers by their content: pairs of a tensor's own name and shape."""
    layers: dict[str, dict[str, tuple[int, ...]]] = defaultdict(dict)
    for name, tensor in tensors.items():
        layer, _, leaf = name.rpartition(".")
        if leaf != "num_batches_tracked":
            layers[layer][leaf] = tuple(tensor.shape)
    kinds = defaultdict(list)
    for layer, leaves in layers.items():
        kinds[tuple(sorted(leaves.items()))].append(layer)
    return kinds


def _tensors(path: Path, content: Any) -> dict[str, Tensor]:
    if isinstance(content, nn.Module):
        try:
            content = content.state_dict()
        except Exception as error:  # whatever is in the file has become its attributes
            raise UsageError(f"{path}: damaged, or not a network ({type(error).__name__})") from error
    if not isinstance(content, Mapping) or not content:
        raise UsageError(f"{path}: contains a {type(content).__name__}, not a network")
    for name, value in content.items():
        if not (isinstance(name, str) and isinstance(value, Tensor)):
            raise UsageError(f"{path}: not the tensors of a network: {name!r} is not a tensor")
        is_dense = value.layout == torch.strided and not value.is_nested and value.device.type == "cpu"
        if not is_dense or value.is_complex() or value.is_quantized:
            raise UsageError(f"{path}: {name!r} is not a dense tensor of real numbers")
    return dict(content)


def _read(path: Path, trust_pickle: bool) -> Any:
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about old formats, which these files have
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises many kinds of errors
            more = isinstance(error, pickle.UnpicklingError) and path.read_bytes()[:1] in (b"P", b"\x80")
            if not more:  # not a zip archive or a pickle, or cut short
                raise UsageError(f"{path}: damaged, or not a PyTorch file") from error
            if not trust_pickle:
                raise UsageError(
                    f"{path}: a pickle of more than tensors, which can run code while loading; if you trust its "
                    "source, load it with --trust-pickle"
                ) from error
        try:
            return torch.load(path, map_location="cpu", weights_only=False, pickle_module=_CAREFUL)
        except Exception as error:
            raise UsageError(f"{path}: damaged, or not a PyTorch file ({type(error).__name__})") from error


class _Unpickler(pickle.Unpickler):
    """Loads what tensors are made of, and replaces all else by a network without code, which is enough to hold them.

    Not even all of torch is safe: from protocol 4 on, a name may have dots, and `os.system` is found in torch, too.
    Storages do not come here, torch.load takes care of them.
    """

    def find_class(self, module: str, name: str) -> Any:
        if name in _LOADED.get(module, ()):
            return super().find_class(module, name)
        if module == "torch" and isinstance(kind := getattr(torch, name, None), torch.dtype):
            return kind
        return type(name, (nn.Module,), {})


_LOADED = {
    "collections": ("OrderedDict",),
    "builtins": ("set",),
    "__builtin__": ("set",),
    "torch": ("Size", "device"),
    "torch._utils": ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter", "_rebuild_parameter_with_state"),
    "torch.nn.parameter": ("Parameter",),
}
# The interface that torch.load needs from a pickle module.
_CAREFUL = SimpleNamespace(
    __name__="careful", Unpickler=_Unpickler, load=lambda file, **options: _Unpickler(file, **options).load()
)
