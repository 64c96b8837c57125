"""Dictionaries that are vocabularies, and those that only look like one."""

import pytest

from app.errors import ImportFailed
from app.importers.vocabularies import words_of


def test_ids_may_come_in_any_order() -> None:
    assert words_of({"c": 2, "a": 0, "b": 1}) == ["a", "b", "c"]


def test_a_word_is_missing_before_a_distant_id() -> None:
    with pytest.raises(ImportFailed, match="no word with id 5"):
        words_of({"a": 0, "b": 1, "c": 2, "d": 3, "e": 4, "f": 2**60})


def test_thousands_of_digits_are_no_id() -> None:
    assert words_of({"a": "0", "b": "1" * 5000}) is None
