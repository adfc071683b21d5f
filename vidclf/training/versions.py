"""The crops of each epoch: randomly changed versions of the training crops, with the teachers' answers to them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vidclf.training.augment import augment_all
from vidclf.training.config import Config
from vidclf.training.epoch import mixed_precision
from vidclf.training.targets import Teacher, taught


class Versions:
    """Every epoch has a version of its own, or, with config.views, one of that many, which are used in turn.

    Then the teachers have to answer only once to each, and their answers are kept.
    images: (N, channels, size, size) uint8, the training crops.
    """

    def __init__(self, images: Tensor, teachers: Sequence[Teacher], config: Config) -> None:
        self._images = images
        self._teachers = teachers
        self._config = config
        self._answers: dict[int, Tensor] = {}

    def of(self, epoch: int) -> tuple[Tensor, Tensor | None]:
        """The changed crops of an epoch, shaped like the images, and the answers to them (see `taught`), if any.

        Every version has a random stream of its own, so a resumed run needs no other random state.
        """
        config = self._config
        version = epoch % config.views if config.views else epoch
        torch.manual_seed(config.seed * 200_003 + 100_000 + version)
        crops = augment_all(self._images, config)
        if not self._teachers:
            return crops, None
        if version not in self._answers:
            if not config.views:
                self._answers.clear()
            with mixed_precision(str(crops.device)):
                self._answers[version] = taught(self._teachers, crops, config.distill_temperature)
        return crops, self._answers[version]
