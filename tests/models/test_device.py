import pytest
import torch

from vidclf.errors import UsageError
from vidclf.models.device import check_device, choose_device


def test_auto_is_a_device_that_is_there() -> None:
    assert choose_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    assert choose_device("cpu") == "cpu"


@pytest.mark.parametrize("word", ["gpu", "cuda:", "cuda:x", "", "CPU"])
def test_other_words_are_refused_with_the_choices(word: str) -> None:
    with pytest.raises(UsageError, match="device must be auto, cpu, cuda or cuda:N"):
        check_device(word)


def test_a_gpu_that_is_not_there_is_refused() -> None:
    assert check_device("cuda:99") == "cuda:99"
    with pytest.raises(UsageError, match=r"device cuda:99 is not there: \d+ CUDA device"):
        choose_device("cuda:99")
