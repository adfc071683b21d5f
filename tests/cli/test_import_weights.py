import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from tests.models.originals import make
from vidclf.cli.import_weights import MODELS, import_weights
from vidclf.errors import UsageError
from vidclf.models import checkpoint, load
from vidclf.models.importers import ORIGINS


@pytest.fixture(scope="module")
def params(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("b") / "v1_params.pkl"
    torch.save(make("v1").state_dict(), path)
    return path


def test_the_checkpoint_loads_and_says_where_it_is_from(params: Path, tmp_path: Path) -> None:
    output = tmp_path / "new" / "v1.safetensors"
    result = CliRunner().invoke(import_weights, [str(params), "-o", str(output)], catch_exceptions=False)
    assert result.stdout == ""
    assert "v1, 420,298 parameters, 10 classes; crops squash, not masked, mean 0, deviation 1\nwrote" in result.stderr
    header = checkpoint.read_header(output)
    assert (header["imported_from"], header["mean"], header["std"]) == ("v1_params.pkl", 0.0, 1.0)
    assert torch.equal(load(output).network.state_dict()["0.weight"], torch.load(params)["cnn_1.weight"])


def test_nothing_is_overwritten_unasked(params: Path, tmp_path: Path) -> None:
    output = tmp_path / "v1.safetensors"
    output.write_text("mine")
    with pytest.raises(UsageError, match=r"v1\.safetensors already exists; --force replaces it"):
        CliRunner().invoke(import_weights, [str(params), "-o", str(output)], catch_exceptions=False)
    (tmp_path / "broken.pkl").write_bytes(params.read_bytes()[:1000])
    with pytest.raises(UsageError, match="damaged"):
        words = [str(tmp_path / "broken.pkl"), "-o", str(output), "--force"]
        CliRunner().invoke(import_weights, words, catch_exceptions=False)
    assert output.read_text() == "mine"
    with pytest.raises(UsageError, match="would overwrite the file to import"):
        CliRunner().invoke(import_weights, [str(params), "-o", str(params), "--force"], catch_exceptions=False)
    names = tmp_path / "names.json"
    names.write_text(json.dumps([f"class {i}" for i in range(10)]))
    with pytest.raises(UsageError, match=r"names\.json would overwrite the file of --labels$"):
        words = [str(params), "--labels", str(names), "-o", str(names), "--force"]
        CliRunner().invoke(import_weights, words, catch_exceptions=False)
    CliRunner().invoke(import_weights, [str(params), "-o", str(output), "--force"], catch_exceptions=False)
    assert load(output).name == "v1"


def test_the_checkpoint_is_not_called_as_exported_ones_are(params: Path, tmp_path: Path) -> None:
    said = r"v1\.pt: \.pt is for exported classifiers \(vidclf export\); use NAME\.safetensors$"
    with pytest.raises(UsageError, match=said):
        CliRunner().invoke(import_weights, [str(params), "-o", str(tmp_path / "v1.pt")], catch_exceptions=False)
    assert not list(tmp_path.iterdir())


def test_the_models_are_those_that_can_be_imported() -> None:
    assert list(ORIGINS) == list(MODELS)  # spelled out there, so that --help needs no torch
