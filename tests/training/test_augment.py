from dataclasses import replace

import pytest
import torch

from vidclf.training.augment import augment, augment_all, mix
from vidclf.training.config import Config

NOTHING = Config(flip=False, shift=0, warp=0.0, light=0.0, erase=0.0)


@pytest.fixture
def crops() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randint(0, 256, (64, 1, 28, 28), dtype=torch.uint8)


def test_with_everything_off_crops_stay_as_they_are(crops: torch.Tensor) -> None:
    assert torch.equal(augment(crops, NOTHING), crops)


def test_a_flip_mirrors_about_half(crops: torch.Tensor) -> None:
    result = augment(crops, replace(NOTHING, flip=True))
    same = (result == crops).flatten(1).all(1)
    mirrored = (result == crops.flip(3)).flatten(1).all(1)
    assert (same | mirrored).all()
    assert 16 <= int(mirrored.sum()) <= 48


def test_a_shift_moves_whole_pixels_and_fills_with_black(crops: torch.Tensor) -> None:
    result = augment(crops, replace(NOTHING, shift=2))
    padded = torch.nn.functional.pad(crops, (2, 2, 2, 2))
    found = set()
    for before, after in zip(padded, result, strict=True):
        places = [(y, x) for y in range(5) for x in range(5) if torch.equal(before[:, y : y + 28, x : x + 28], after)]
        assert len(places) == 1
        found.add(places[0])
    assert len(found) > 15  # of the 25 there are


def test_light_scales_every_crop_by_one_factor() -> None:
    crops = torch.full((64, 1, 28, 28), 100, dtype=torch.uint8)
    crops[:, :, :5] = 0
    result = augment(crops, replace(NOTHING, light=0.2))
    assert (result[:, :, :5] == 0).all()
    level = result[:, 0, 5:].flatten(1)
    assert (level == level[:, :1]).all()
    assert 80 <= int(level.min()) < 90 and 110 < int(level.max()) <= 120


def test_a_warp_touches_its_share_and_keeps_the_middle(crops: torch.Tensor) -> None:
    still = torch.zeros(400, 1, 28, 28, dtype=torch.uint8)
    still[:, :, 9:19, 9:19] = 200
    result = augment(still, replace(NOTHING, warp=0.25, scale=0.15, rotate=8))
    changed = (result != still).flatten(1).any(1)
    assert 60 <= int(changed.sum()) <= 140
    assert (result[:, :, 13:15, 13:15] == 200).all()


def test_erasing_overwrites_one_rectangle_of_the_right_size() -> None:
    still = torch.zeros(400, 1, 28, 28, dtype=torch.uint8)
    result = augment(still, replace(NOTHING, erase=0.5))
    hit = result[:, 0] > 0
    erased = hit.flatten(1).any(1)
    assert 150 <= int(erased.sum()) <= 250
    for one in hit[erased]:
        rows, columns = one.any(1).nonzero(), one.any(0).nonzero()
        box = one[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert float(box.float().mean()) > 0.8  # noise has few zeros
        assert 0.005 <= box.numel() / 784 <= 0.4


def test_the_same_seed_gives_the_same_crops(crops: torch.Tensor) -> None:
    torch.manual_seed(5)
    one = augment(crops, Config())
    torch.manual_seed(5)
    assert torch.equal(one, augment(crops, Config()))
    assert one.dtype == torch.uint8 and one.shape == crops.shape
    assert not torch.equal(one, augment(crops, Config()))


def test_mixup_blends_pairs_and_says_how() -> None:
    torch.manual_seed(0)
    crops = torch.randint(0, 256, (8, 1, 28, 28), dtype=torch.uint8)
    mixed, partner, share = mix(crops, Config(mixup=0.4))
    expected = share * crops.float() + (1 - share) * crops[partner].float()
    assert mixed.dtype == torch.uint8 and (mixed.float() - expected).abs().max() <= 0.5


def test_cutmix_pastes_a_part_of_the_partner() -> None:
    torch.manual_seed(3)
    crops = torch.arange(1, 9, dtype=torch.uint8)[:, None, None, None].expand(8, 1, 28, 28)
    mixed, partner, share = mix(crops, Config(cutmix=1.0))
    own = (mixed == crops).float().mean(dim=(1, 2, 3))
    other = (mixed == crops[partner]).float().mean(dim=(1, 2, 3))
    moved = partner != torch.arange(8)
    assert torch.allclose(own[moved], torch.tensor(share)) and torch.allclose(other[moved], torch.tensor(1 - share))


def test_any_number_of_crops_is_augmented() -> None:
    crops = torch.randint(0, 256, (50, 3, 16, 16), dtype=torch.uint8)
    assert augment_all(crops, Config(), values=16 * 3 * 16 * 16).shape == crops.shape


@pytest.mark.parametrize(("shape", "chunk"), [((1, 28, 28), 2048), ((3, 28, 28), 682), ((3, 224, 224), 10)])
def test_large_crops_are_changed_a_few_at_a_time(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], chunk: int
) -> None:
    seen: list[int] = []
    monkeypatch.setattr("vidclf.training.augment.augment", lambda part, _: seen.append(len(part)) or part)
    augment_all(torch.empty(chunk + 3, *shape, dtype=torch.uint8), Config())
    assert seen == [chunk, 3]
    seen.clear()
    augment_all(torch.empty(2, 3, 1024, 1024, dtype=torch.uint8), Config())
    assert seen == [1, 1]
