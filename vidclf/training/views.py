"""The crops of each epoch: a random view of every training crop, with the teachers' soft targets for them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vidclf.training.augment import augment_all
from vidclf.training.config import Config
from vidclf.training.targets import Teacher, soft_targets


class Views:
    """Every epoch has a view of its own, or, with config.views, one of that many, which are used in turn.

    Then the teachers see each of them only once, and their soft targets are kept.
    images: (N, channels, size, size) uint8, the training crops.
    """

    def __init__(self, images: Tensor, teachers: Sequence[Teacher], config: Config) -> None:
        self._images = images
        self._teachers = teachers
        self._config = config
        self._soft_targets: dict[int, Tensor] = {}

    def of(self, epoch: int) -> tuple[Tensor, Tensor | None]:
        """The changed crops of an epoch, shaped like the images, and their soft targets, if there are teachers.

        Every view has a random stream of its own, so a resumed run needs no other random state.
        """
        config = self._config
        view = epoch % config.views if config.views else epoch
        torch.manual_seed(config.seed * 200_003 + 100_000 + view)
        crops = augment_all(self._images, config)
        if not self._teachers:
            return crops, None
        if view not in self._soft_targets:
            if not config.views:
                self._soft_targets.clear()
            self._soft_targets[view] = soft_targets(self._teachers, crops, config.distill_temperature)
        return crops, self._soft_targets[view]
