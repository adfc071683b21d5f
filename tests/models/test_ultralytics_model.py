"""Which files are detectors that ultralytics can load, and how a published one is downloaded."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep
from types import SimpleNamespace

import pytest

from vidclf.errors import UsageError, VidclfError
from vidclf.models.ultralytics_model import _download, load_detector


@pytest.mark.parametrize("content", [b"", b"not a model", b"PK\x03\x04 cut short"])
def test_a_file_that_is_no_model_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.pt"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="is not a detector that ultralytics can load") as caught:
        load_detector(str(path))
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a detector"):
        load_detector(str(tmp_path))


@pytest.mark.parametrize("of_memory", [True, False])
def test_a_gpu_that_fails_is_no_fault_of_the_file(
    of_memory: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from ultralytics import YOLO

    def predict(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.") if of_memory else RuntimeError("cuDNN error: X")

    path = tmp_path / "some.pt"
    YOLO("yolo11n.yaml").save(path)
    monkeypatch.setattr(YOLO, "predict", predict)
    with pytest.raises(VidclfError) as caught:
        load_detector(str(path), "cuda")
    reason = "OutOfMemoryError: CUDA out of memory." if of_memory else "RuntimeError: cuDNN error: X"
    assert str(caught.value) == f"{path} cannot run on cuda: {reason}"
    assert not isinstance(caught.value, UsageError)


def test_a_model_for_another_task_is_refused(tmp_path: Path) -> None:
    from ultralytics import YOLO

    path = tmp_path / "classifier.pt"
    YOLO("yolo11n-cls.yaml").save(path)
    with pytest.raises(UsageError, match="is a classify model"):
        load_detector(str(path))


def test_a_published_name_that_cannot_be_downloaded_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YOLO_OFFLINE", "true")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    missing = r"yolo11x-seg\.pt was not found locally, and there is no internet connection: .*--detector-weights FILE"
    with pytest.raises(UsageError, match=missing):
        load_detector("yolo11x-seg")


def test_what_several_want_is_downloaded_once_and_never_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, came = tmp_path / "cache" / "yolo11n.pt", []

    def fetch(target: Path) -> None:
        came.append(target)
        target.write_bytes(b"half")
        sleep(0.2)
        assert not path.exists()
        if len(came) == 1:
            raise ConnectionError("cable pulled")
        target.write_bytes(b"all of it")

    downloads = SimpleNamespace(attempt_download_asset=fetch)
    ultralytics = SimpleNamespace(utils=SimpleNamespace(is_online=lambda: True, downloads=downloads))
    with pytest.raises(UsageError, match=r"yolo11n\.pt could not be downloaded \(ConnectionError: cable pulled\)"):
        _download(path, ultralytics)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: _download(path, ultralytics), range(3)))
    assert len(came) == 2
    assert path.read_bytes() == b"all of it"
    assert not list(path.parent.glob(".downloading-*"))


@pytest.mark.parametrize(
    ("proxies", "why"),
    [({"no": "localhost"}, "there is no internet connection"), ({"https": "http://p:1"}, "could not be downloaded")],
)
def test_without_name_servers_only_a_proxy_leads_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxies: dict[str, str], why: str
) -> None:
    def fetch(_: Path) -> None:
        raise ConnectionError("refused")

    downloads = SimpleNamespace(attempt_download_asset=fetch)
    ultralytics = SimpleNamespace(utils=SimpleNamespace(is_online=lambda: False, downloads=downloads))
    monkeypatch.setattr("vidclf.models.ultralytics_model.getproxies", lambda: proxies)
    with pytest.raises(UsageError, match=why):
        _download(tmp_path / "yolo11n.pt", ultralytics)
