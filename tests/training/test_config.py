import pytest

from vidclf.errors import UsageError
from vidclf.training.config import Config


def test_settings_outside_their_range_are_refused() -> None:
    with pytest.raises(UsageError, match="milestones must be 1 or more, got 40, -3"):
        Config(milestones=(40, -3))
    with pytest.raises(UsageError, match="epochs must be 1 to 10000, got 0"):
        Config(epochs=0)
    with pytest.raises(UsageError, match=r"validation must be 0 to 0\.5, got 0\.7"):
        Config(validation=0.7)
    with pytest.raises(UsageError, match="batch must be 2 to 65536, got 1"):  # batch normalisation wants two
        Config(batch=1)


def test_settings_that_exclude_each_other_are_refused() -> None:
    with pytest.raises(UsageError, match="schedule must be one of cosine, constant, milestone, one-cycle, got 'steps'"):
        Config(schedule="steps")
    with pytest.raises(UsageError, match="schedule milestone needs milestones"):
        Config(schedule="milestone")
    for blend in ("mixup", "cutmix"):
        with pytest.raises(UsageError, match=rf"^{blend} must be 0, or 0\.001 to 10, got 1e-300$"):
            Config(**{blend: 1e-300})
    with pytest.raises(UsageError, match="keep last does not go with patience"):
        Config(keep="last", patience=3)
    with pytest.raises(UsageError, match="mixup and cutmix"):
        Config(mixup=1.0, cutmix=1.0)
