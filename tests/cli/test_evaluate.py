import json
import shutil
from pathlib import Path

import cv2
import pytest
import torch
from click.testing import CliRunner

from tests.idx import bars, write_bars
from vidclf.cli.evaluate import evaluate
from vidclf.errors import UsageError, VidclfError
from vidclf.models import checkpoint, create, save
from vidclf.models.classifier import Classifier
from vidclf.models.exporting import export
from vidclf.models.zoo import FASHION_MNIST, last_layer
from vidclf.preprocess import Preprocess
from vidclf.threads import cores
from vidclf.training import evaluation, fashion_mnist


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures/test/{cat,dog} of 40 pictures each, and a classifier of pets that never saw any."""
    folder = tmp_path_factory.mktemp("pets")
    for i, (picture, target) in enumerate(zip(*bars(80), strict=True)):
        place = folder / "pictures" / "test" / ("cat" if target < 5 else "dog")
        place.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(place / f"{i:03}.png"), picture)
    torch.manual_seed(0)
    model = create("lean", ["dog", "cat"], Preprocess(size=32))  # in an order of its own
    model.temperature = 2.5
    save(folder / "pets.safetensors", model)
    return folder


def figures(*words: str) -> dict[str, object]:
    result = CliRunner().invoke(evaluate, [*words, "--device", "cpu", "--json", "-"], catch_exceptions=False)
    return dict(json.loads(result.stdout))


def test_classes_have_the_names_of_the_weights(pets: Path) -> None:
    found = figures(str(pets / "pets.safetensors"), "--data", str(pets / "pictures"))
    assert list(found) == ["weights", "parameters", "runs_on", "correct", "total", "top1", "top5", "ece", "per_class"]
    assert (found["total"], found["top5"]) == (80, 100.0)
    assert list(found["per_class"]) == ["dog", "cat"]  # type: ignore[call-overload]
    recalls = [row["recall"] for row in found["per_class"].values()]  # type: ignore[attr-defined]
    assert found["top1"] == pytest.approx(sum(recalls) / 2, abs=0.01)  # both classes have 40


def test_pictures_that_were_never_trained_on_are_tested_all(pets: Path) -> None:
    """A fifth of them was, and nothing said so."""
    words = [str(pets / "pets.safetensors"), "--data", str(pets / "pictures" / "test")]
    assert (figures(*words)["total"], figures(*words, "--all")["total"]) == (16, 80)
    hint = "These are the pictures that training holds back, a fifth; --all tests all of them."
    said = [CliRunner().invoke(evaluate, [*words, *more], catch_exceptions=False).stdout for more in ([], ["--all"])]
    assert [hint in each for each in said] == [True, False]


def test_an_exported_file_is_tested_in_its_runtime_and_others_in_the_one_asked_for(pets: Path, tmp_path: Path) -> None:
    data, weights = ("--data", str(pets / "pictures")), pets / "pets.safetensors"
    exported = tmp_path / "pets.xml"
    export(checkpoint.load(weights), checkpoint.read_header(weights), "openvino", exported)
    wanted = figures(str(weights), *data)
    assert wanted["runs_on"] == "torch f32 on cpu"
    for words in ([str(exported), "--precision", "f32"], [str(weights), "--backend", "openvino", "--precision", "f32"]):
        found = figures(*words, *data)
        assert found["runs_on"] == "openvino f32"
        assert [found[name] for name in ("parameters", "correct", "ece", "per_class")] == [
            wanted[name] for name in ("parameters", "correct", "ece", "per_class")
        ]
    said = CliRunner().invoke(evaluate, [str(exported), *data, "--precision", "f32"], catch_exceptions=False).stdout
    assert said.endswith("Tested on openvino f32.\n")


def test_a_batch_is_a_number_of_crops(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    forward = Classifier.forward
    monkeypatch.setattr(Classifier, "forward", lambda self, crops: sizes.append(len(crops)) or forward(self, crops))
    figures(str(pets / "pets.safetensors"), "--data", str(pets / "pictures"), "--batch", "30")
    assert sizes == [30, 30, 20]


def test_the_calibration_error_is_that_of_the_probabilities_a_pipeline_would_give(pets: Path) -> None:
    from vidclf.models import load
    from vidclf.training import data

    found = figures(str(pets / "pets.safetensors"), "--data", str(pets / "pictures"))
    model = load(pets / "pets.safetensors")
    test = data.load(pets / "pictures", "test", model.preprocess, labels=model.labels)
    sure, named = model.probabilities(test.images).max(dim=1)
    assert found["ece"] == pytest.approx(100 * evaluation.calibration_error(sure, named == test.targets), abs=2e-3)


def test_other_classes_than_the_weights_have_are_refused(pets: Path) -> None:
    with pytest.raises(UsageError, match="class"):
        figures("lean", "--data", str(pets / "pictures"))


def test_a_page_is_written(pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [str(pets / "pets.safetensors"), "--data", str(pets / "pictures"), "--device", "cpu"]
    result = CliRunner().invoke(evaluate, [*words, "--html", str(tmp_path / "pets.html")], catch_exceptions=False)
    assert "of 80 correct" in result.stdout
    text = (tmp_path / "pets.html").read_text(encoding="utf-8")
    assert (
        "of 80 test pictures classified correctly" in text and "<th>cat</th>" in text and "temperature of 2.5" in text
    )
    (tmp_path / "file").touch()
    monkeypatch.setattr("vidclf.training.data.load", lambda *_: pytest.fail("it was told after the work"))
    with pytest.raises(UsageError, match=r"cannot write .*page\.html"):
        CliRunner().invoke(evaluate, [*words, "--html", str(tmp_path / "file" / "page.html")], catch_exceptions=False)


def test_weights_of_other_classes_want_pictures_of_them(pets: Path) -> None:
    weights = pets / "pets.safetensors"
    with pytest.raises(UsageError) as raised:
        figures(str(weights))
    told = "knows 2 classes: dog, cat, not Fashion-MNIST's classes; name a folder of such pictures with --data"
    assert str(raised.value) == f"{weights} {told}"


def test_names_that_stdout_cannot_spell_cost_no_table(pets: Path, tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    for name, label in (("cat", "\u732b"), ("dog", "caf\u00e9")):
        shutil.copytree(pets / "pictures" / "test" / name, tmp_path / "test" / label)
    weights = save(tmp_path / "names.safetensors", create("v1", ["\u732b", "caf\u00e9"]))
    words = [str(weights), "--data", str(tmp_path), "--device", "cpu"]
    result = CliRunner(charset="cp1252").invoke(evaluate, words, catch_exceptions=False)
    assert result.stdout_bytes.decode("cp1252").splitlines()[1].split()[0] == "?"
    assert "caf\u00e9" in result.stdout_bytes.decode("cp1252")


def test_it_uses_the_cores_that_it_may(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDCLF_THREADS", "3")
    figures(str(pets / "pets.safetensors"), "--data", str(pets / "pictures"))
    assert torch.get_num_threads() == 3
    monkeypatch.undo()
    torch.set_num_threads(cores())


def test_the_data_set_in_idx_files(tmp_path: Path) -> None:
    found = figures("lean", "--data", str(write_bars(tmp_path)), "--no-verify")
    assert (found["weights"], found["total"]) == ("lean", 50)


def test_fashion_mnists_numbered_classes_are_compared_by_name_if_the_weights_know_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were compared by number, whatever the order of the weights."""
    torch.manual_seed(3)
    data, model = write_bars(tmp_path / "bars"), create("v1", FASHION_MNIST)
    other = create("v1", sorted(FASHION_MNIST), mean=0.3, std=0.2)
    for name, tensor in model.state_dict().items():
        if "bias" in name:
            tensor.zero_()  # else all pictures would look the same to it
    places = [FASHION_MNIST.index(name) for name in other.labels]
    for name, tensor in model.state_dict().items():
        moved = tensor[places] if name.removeprefix("network.") in last_layer(model) else tensor
        other.state_dict()[name].copy_(moved)
    files = [str(save(tmp_path / f"{i}.safetensors", each)) for i, each in enumerate((model, other))]
    one, by_number = (figures(file, "--data", str(data), "--no-verify") for file in files)
    assert one["correct"] != by_number["correct"]  # other data may have the numbers of the weights
    read = fashion_mnist.read_idx
    monkeypatch.setattr(fashion_mnist, "read_idx", lambda path, dimensions, _: read(path, dimensions))  # no checksums
    two = figures(files[1], "--data", str(data))
    assert one["per_class"] == {name: two["per_class"][name] for name in FASHION_MNIST}  # type: ignore[index]


def test_numbered_classes_of_other_names_are_compared_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights for ten other things were 10 % right about Fashion-MNIST, and nothing said why."""
    names = [f"row {i}" for i in range(10)]
    words = [str(save(tmp_path / "rows.safetensors", create("v1", names))), "--data", str(write_bars(tmp_path))]
    done = CliRunner().invoke(evaluate, [*words, "--no-verify", "--device", "cpu"], catch_exceptions=False)
    known = f"10 classes: {', '.join(names)}, not Fashion-MNIST's classes"
    how = "they are compared by number, as `train --labels` numbers them"
    assert (done.exit_code, done.stderr) == (0, f"warning: {words[0]} knows {known}; {how}\n")
    assert "of 50 correct" in done.stdout
    monkeypatch.setattr("vidclf.training.fashion_mnist.download", lambda: tmp_path)
    for weights, said in ((words[0], done.stderr), ("lean", "")):
        again = CliRunner().invoke(evaluate, [weights, "--no-verify", "--device", "cpu"], catch_exceptions=False)
        assert (again.exit_code, again.stderr) == (0, said)


def test_a_network_that_gives_no_numbers_is_an_error_and_nothing_is_written(tmp_path: Path) -> None:
    model = create("v1")
    for parameter in model.parameters():
        parameter.data.fill_(torch.nan)
    weights = str(save(tmp_path / "nan.safetensors", model))
    words = [weights, "--data", str(write_bars(tmp_path / "idx")), "--no-verify", "--json", str(tmp_path / "nan.json")]
    with pytest.raises(VidclfError) as raised:
        CliRunner().invoke(evaluate, words, catch_exceptions=False)
    assert str(raised.value) == f"{weights}: its outputs are not finite; damaged weights?"
    assert not (tmp_path / "nan.json").exists()


def test_there_is_no_json_without_the_page(pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [str(pets / "pets.safetensors"), "--data", str(pets / "pictures"), "--device", "cpu"]
    words += ["--json", str(tmp_path / "pets.json"), "--html", str(tmp_path / "pets.html")]

    def fail(*_: object) -> None:
        raise VidclfError("no space left")

    monkeypatch.setattr("vidclf.training.page.write_report", fail)
    with pytest.raises(VidclfError, match="no space left"):
        CliRunner().invoke(evaluate, words, catch_exceptions=False)
    assert not list(tmp_path.iterdir())


def test_that_all_pictures_cannot_be_meant_is_told(pets: Path, tmp_path: Path) -> None:
    for part in ("train", "test"):
        shutil.copytree(pets / "pictures" / "test", tmp_path / part)
    words = [str(pets / "pets.safetensors"), "--data", str(tmp_path), "--all"]
    result = CliRunner().invoke(evaluate, words, catch_exceptions=False)
    assert "--all has no effect here" in result.stderr
