"""Random changes to training crops that leave the label true, a whole batch at a time."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from vidclf.training.config import Config


def augment(crops: Tensor, config: Config) -> Tensor:
    """Mirror, move, warp, light and erase (N, channels, size, size) uint8 crops; the result is uint8 again.

    Crops stay uint8, so that a network in training sees what it sees in a pipeline. Draws from torch's global
    random stream.
    """
    crops = light(move(crops, config), config.light).round().clamp(0, 255).to(torch.uint8)
    return erase(crops, config.erase) if config.erase else crops


def augment_all(crops: Tensor, config: Config, values: int = 2048 * 28 * 28) -> Tensor:
    """`augment` for any number of crops, `values` pixels at a time, because it needs far more memory than the crops."""
    return torch.cat([augment(part, config) for part in crops.split(max(1, values // crops[0].numel()))])


def mix(crops: Tensor, config: Config) -> tuple[Tensor, Tensor, float]:
    """Blend every crop with another one of the batch, by config.mixup or config.cutmix.

    Returns the crops (uint8), the index of each one's partner, and the share of the crop itself (0..1), by which the
    targets must be blended, too. mixup: Zhang et al. 2017; cutmix: Yun et al. 2019; the share is from
    Beta(alpha, alpha).
    """
    partner = torch.randperm(len(crops), device=crops.device)
    alpha = config.mixup or config.cutmix
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    if config.mixup:
        blend = share * crops.float() + (1 - share) * crops[partner].float()
        return blend.round().to(torch.uint8), partner, share
    rows, columns = crops.shape[2:]
    high, wide = round(rows * (1 - share) ** 0.5), round(columns * (1 - share) ** 0.5)
    top, left = (int(torch.randint(0, span + 1, ())) for span in (rows - high, columns - wide))
    crops = crops.clone()
    crops[:, :, top : top + high, left : left + wide] = crops[partner, :, top : top + high, left : left + wide]
    return crops, partner, 1 - high * wide / (rows * columns)


def move(crops: Tensor, config: Config) -> Tensor:
    """Mirror half of the crops, shift all by whole pixels, and scale and rotate a share of them; float32.

    Whole-pixel shifts keep a crop sharp. Otherwise the network would see only crops blurred by interpolation.
    """
    count, _, rows, columns = crops.shape
    device = crops.device
    warped = torch.rand(count, device=device) < config.warp
    angle = torch.deg2rad(_spread(count, device) * config.rotate) * warped
    scale = torch.exp(_spread(count, device) * math.log1p(config.scale) * warped)
    mirror = 1 - 2 * ((torch.rand(count, device=device) < 0.5) * config.flip).float()
    pixels = torch.randint(-config.shift, config.shift + 1, (2, count), device=device)
    # A row of the matrix maps a target coordinate (-1..1) to its source coordinate.
    theta = torch.empty(count, 2, 3, device=device)
    theta[:, 0, 0], theta[:, 0, 1] = scale * angle.cos() * mirror, -scale * angle.sin()
    theta[:, 1, 0], theta[:, 1, 1] = scale * angle.sin() * mirror, scale * angle.cos()
    theta[:, 0, 2], theta[:, 1, 2] = pixels[0] * (2 / columns), pixels[1] * (2 / rows)
    grid = F.affine_grid(theta, list(crops.shape), align_corners=False)
    return F.grid_sample(crops.float(), grid, align_corners=False)


def light(crops: Tensor, strength: float) -> Tensor:
    """Make each crop brighter or darker by up to `strength` of its values; black stays black."""
    return crops * (1 + strength * _spread(len(crops), crops.device))[:, None, None, None]


def erase(crops: Tensor, share: float) -> Tensor:
    """Overwrite a random rectangle with noise in `share` of the crops (Zhong et al. 2017, Random Erasing).

    Their parameters: 0.02 to 0.33 of the area, sides in a ratio of 0.3 to 3.3.
    """
    count, _, rows, columns = crops.shape
    device = crops.device
    area = torch.empty(count, device=device).uniform_(0.02, 0.33) * rows * columns
    ratio = torch.exp(torch.empty(count, device=device).uniform_(math.log(0.3), math.log(3.3)))
    high = (area * ratio).sqrt().round().clamp(1, rows)
    wide = (area / ratio).sqrt().round().clamp(1, columns)
    top = (torch.rand(count, device=device) * (rows - high + 1)).floor()
    left = (torch.rand(count, device=device) * (columns - wide + 1)).floor()
    y, x = torch.arange(rows, device=device), torch.arange(columns, device=device)
    inside_rows = (y >= top[:, None]) & (y < (top + high)[:, None])
    inside_columns = (x >= left[:, None]) & (x < (left + wide)[:, None])
    chosen = torch.rand(count, device=device) < share
    hole = (inside_rows[:, :, None] & inside_columns[:, None, :] & chosen[:, None, None])[:, None]
    noise = torch.randint(0, 256, crops.shape, dtype=torch.uint8, device=device)
    return torch.where(hole, noise, crops)


def _spread(count: int, device: torch.device) -> Tensor:
    """Uniform numbers from -1 to 1."""
    return torch.rand(count, device=device) * 2 - 1
