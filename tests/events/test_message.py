from __future__ import annotations

import pytest

from vidclf.errors import UsageError
from vidclf.events.message import check_topic, clean

FORBIDDEN = ["\x00", "\x1f", "\x7f", "\x92", "\ud800", "\ufdd0", "\ufffe", "\U0010ffff"]


@pytest.mark.parametrize("letter", [*FORBIDDEN, "/", "+", "#", "$", " "])
def test_a_level_of_a_topic_has_no_letter_that_a_broker_may_refuse(letter: str) -> None:
    assert clean(f"It{letter}s") == "It-s"
    assert clean(letter) == "none"


@pytest.mark.parametrize("letter", [*FORBIDDEN, "+", "#"])
def test_nor_has_a_template(letter: str) -> None:
    with pytest.raises(UsageError, match=r"must not hold \+, # or control characters$"):
        check_topic(f"a{letter}/{{label}}")


def test_letters_of_all_languages_stay() -> None:
    assert clean("größer 漢字 🎬") == "größer-漢字-🎬"
