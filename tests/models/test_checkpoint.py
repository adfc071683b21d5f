import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.models.test_class_names import write
from vidclf.errors import UsageError, VidclfError
from vidclf.models import checkpoint, create, load, save
from vidclf.models.classifier import Classifier
from vidclf.preprocess import Preprocess


@pytest.fixture
def model() -> Classifier:
    torch.manual_seed(3)
    model = create("lean", ["cat", "dog"], Preprocess(size=32, channels=3, aspect="squash", polarity="auto"), 0.4, 0.2)
    model.temperature = 1.25
    return model.eval()


def rewrite(path: Path, **changes: object) -> Path:
    """The same file with other words in its header."""
    header = checkpoint.read_header(path) | changes
    save_file(load_file(path), path, {"vidclf": json.dumps({k: v for k, v in header.items() if v is not None})})
    return path


def test_a_saved_classifier_comes_back_with_all_that_belongs_to_it(tmp_path: Path, model: Classifier) -> None:
    path = save(tmp_path / "new" / "pets.safetensors", model, seed=7, metrics={"top1": 93.1})
    again = load(path)
    assert (again.name, again.labels, again.preprocess) == ("lean", ("cat", "dog"), model.preprocess)
    assert again.temperature == 1.25
    assert not again.training
    crops = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8)
    assert torch.equal(again(crops), model(crops))
    header = checkpoint.read_header(path)
    assert (header["seed"], header["metrics"]) == (7, {"top1": 93.1})
    assert header["parameters"] == model.parameter_count
    assert header["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert [p.name for p in path.parent.iterdir()] == ["pets.safetensors"]  # no temporary file is left


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, model: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "pets.safetensors", model)
    before = path.read_bytes()

    def full(part: Path, content: bytes) -> None:
        with part.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(VidclfError, match=r"^cannot write .*: No space left on device$"):
        save(path, model)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["pets.safetensors"]


def test_others_may_read_it_as_any_file_of_the_user(tmp_path: Path, model: Classifier) -> None:
    (tmp_path / "any").touch()
    assert save(tmp_path / "pets.safetensors", model).stat().st_mode == (tmp_path / "any").stat().st_mode


def test_the_header_is_read_without_torch() -> None:
    code = (
        "import sys; from vidclf.models.checkpoint import read_preprocess; "
        "print(read_preprocess('lean').size, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["28", "False"]


def test_a_shipped_name_and_a_missing_file() -> None:
    assert checkpoint.find("lean").name == "lean.safetensors"
    with pytest.raises(UsageError, match=r"weights 'nosuch' not found.*shipped: .*lean"):
        load("nosuch")


def test_a_folder_is_no_file_of_weights(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        load(tmp_path)


class Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('unpickled')",)


def framed(header: bytes) -> bytes:
    """A safetensors file with this header."""
    return len(header).to_bytes(8, "little") + header + bytes(64)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"12345", b"x" * 500, pickle.dumps(Trap()), (9**9).to_bytes(8, "little")),
        *(framed(b"[]"), framed(b'{"a": 1}'), framed(b'{"a": {"data_offsets": []}}'), framed(b'{"__metadata__": 3}')),
        framed(b'{"__metadata__": ' + b"[" * 100_000),
    ],
    ids=[
        *("empty", "short", "text", "pickle", "longer than the file"),
        *("list", "no tensor", "no place", "no metadata", "nested"),
    ],
)
def test_what_is_not_safetensors_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.safetensors"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"odd\.safetensors: not a safetensors file"):
        load(path)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.999])
def test_a_truncated_file_is_refused(tmp_path: Path, model: Classifier, share: float) -> None:
    path = save(tmp_path / "pets.safetensors", model)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(UsageError, match="cut short"):
        load(path)
    with pytest.raises(UsageError, match="cut short"):
        checkpoint.read_header(path)


def test_tensors_of_another_architecture_are_refused(tmp_path: Path, model: Classifier) -> None:
    path = rewrite(save(tmp_path / "pets.safetensors", model), architecture="v1")
    with pytest.raises(UsageError, match=r"pets\.safetensors: its tensors do not match architecture 'v1'"):
        load(path)


def test_another_number_of_labels_is_refused(tmp_path: Path, model: Classifier) -> None:
    path = rewrite(save(tmp_path / "pets.safetensors", model), labels=["cat", "dog", "cow"])
    with pytest.raises(UsageError, match=r"do not match architecture 'lean'.*network\.head"):
        load(path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"architecture": "vgg"}, "unknown model 'vgg'"),
        ({"schema": 99}, "header schema 99"),
        ({"labels": None, "temperature": None}, "the header lacks labels, temperature"),
        ({"temperature": "warm"}, "temperature"),
        ({"temperature": 0}, "temperature"),
        ({"preprocess": {"size": 28, "colour": "red"}}, "unknown preprocessing fields: colour"),
        ({"preprocess": {"size": 4}}, "size must be 8 to 1024 pixels, got 4"),
    ],
)
def test_a_header_that_makes_no_sense_is_refused(
    tmp_path: Path, model: Classifier, changes: dict[str, object], words: str
) -> None:
    path = rewrite(save(tmp_path / "pets.safetensors", model), **changes)
    with pytest.raises(UsageError, match=words):
        load(path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": 3}, "the header's labels must be a list of different names, got 3"),
        ({"preprocess": "abc"}, "the header's preprocess must be an object, got 'abc'"),
        ({"preprocess": {"size": "28"}}, "the header's preprocess: size must be a whole number, got '28'"),
    ],
)
def test_a_header_of_the_wrong_kinds_is_told_with_its_file(
    tmp_path: Path, model: Classifier, changes: dict[str, object], words: str
) -> None:
    path = rewrite(save(tmp_path / "pets.safetensors", model), **changes)
    for read in (checkpoint.read_header, checkpoint.read_preprocess, load):
        with pytest.raises(UsageError) as told:
            read(path)
        assert str(told.value) == f"{path}: {words}"


@pytest.mark.parametrize("text", ["[" * 100_000, "null", "3", "[]", "1" * 5000], ids=lambda text: text[:5])
def test_a_header_that_is_no_object_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "odd.safetensors"
    save_file({"weight": torch.zeros(3)}, path, {"vidclf": text})
    with pytest.raises(UsageError) as told:
        checkpoint.read_header(path)
    assert str(told.value) == f"{path}: the vidclf header is not a JSON object"


def test_who_takes_a_detector_for_a_classifier_is_told_the_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("yolo11n.pt", "yolo11n"):
        with pytest.raises(UsageError, match=r"not found: .*; for a detector use --detector-weights$"):
            checkpoint.read_header(name)
    write(tmp_path / "yolo11n.pt", {0: "person"})
    with pytest.raises(UsageError) as told:
        checkpoint.read_header("yolo11n.pt")
    assert str(told.value) == "yolo11n.pt: a YOLO detector, not a classifier; name it with --detector-weights"
    write(tmp_path / "other.pt", {"epoch": 3})
    with pytest.raises(UsageError) as told:
        checkpoint.read_header("other.pt")
    assert str(told.value) == "other.pt: no vidclf header (export it with vidclf export)"


def test_safetensors_without_our_header_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(UsageError, match="a safetensors file without a vidclf header"):
        load(path)
    save_file({"weight": torch.zeros(3)}, path, {"vidclf": "{"})
    with pytest.raises(UsageError, match="not a JSON object"):
        load(path)


def test_a_header_of_a_huge_network_is_refused_before_that_is_made(tmp_path: Path, model: Classifier) -> None:
    path = save(tmp_path / "pets.safetensors", model)
    policy = model.preprocess.to_dict() | {"size": 1024}  # 137 GB of weights
    with pytest.raises(UsageError, match=r"its tensors do not match architecture 'v3'"):
        load(rewrite(path, architecture="v3", preprocess=policy))


@pytest.mark.parametrize("kind", [torch.int32, torch.bool, torch.complex64])
def test_tensors_of_floats_in_any_precision_are_taken_and_no_others(
    tmp_path: Path, model: Classifier, kind: torch.dtype
) -> None:
    path = save(tmp_path / "pets.safetensors", model)
    tensors = load_file(path)
    name = next(name for name in tensors if name.endswith("weight"))
    header = {"vidclf": json.dumps(checkpoint.read_header(path))}
    save_file(tensors | {name: tensors[name].to(torch.float16)}, path, header)
    assert next(load(path).parameters()).dtype == torch.float32
    save_file(tensors | {name: tensors[name].to(kind)}, path, header)
    with pytest.raises(UsageError, match=rf"1 of {len(tensors)} are .* of another shape or kind, for example {name}"):
        load(path)
