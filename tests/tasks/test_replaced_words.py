"""Words in place of unknown ones: not counted as details, and put into a stream at the cost of its new part."""

import re
from pathlib import Path

import pytest

from app.engine.protocol import Decode, Tokens
from app.errors import InputTooLong
from app.tasks.answers.decoding_options import DecodingOptions
from app.tasks.answers.details import _most_numbers, check_details
from app.tasks.answers.source_words import SourceWords
from app.tasks.catalog import open_catalog
from app.tasks.job import Following, Job, ReadSource
from app.tasks.registry import CHECKS


def test_attention_that_nobody_asked_for_is_no_detail(tiny_store: Path) -> None:
    entry = open_catalog(tiny_store, CHECKS).entries["translate-en-ko", 1]
    source, request = ReadSource(Tokens([5] * 20)), Decode(100, attention=True)
    assert _most_numbers(Job(entry, source, request, DecodingOptions())) == 0
    assert _most_numbers(Job(entry, source, request, DecodingOptions(attention=True))) == 2000


def test_attention_for_unknown_words_alone_has_a_limit_of_its_own(tiny_store: Path) -> None:
    """The same request without the option is accepted, and so are ordinary ones with it."""
    entry = open_catalog(tiny_store, CHECKS).entries["translate-en-ko", 1]

    def jobs(count: int, tokens: int, most: int) -> list[Job]:
        source, request = ReadSource(Tokens([5] * tokens)), Decode(most, attention=True)
        sentences = [Following(" ", Job(entry, source, request, DecodingOptions())) for _ in range(24)]
        return [Job(entry, source, request, DecodingOptions(), sentences) for _ in range(count)]

    check_details(jobs(1, 20, 100))
    check_details(jobs(256, 20, 100))
    with pytest.raises(InputTooLong, match=r"words for unknown ones by attention.*limit is 30000000"):
        check_details(jobs(256, 20, 1000))


def test_a_growing_text_is_the_whole_text(tiny_store: Path) -> None:
    entry = open_catalog(tiny_store, CHECKS).entries["translate-en-ko", 1]
    words = SourceWords(Job(entry, ReadSource(Tokens([5])), Decode(9), DecodingOptions()))
    words._mark, words._words = re.compile(r"(?<!\S)<unk>(?!\S)"), ["one", "two", "three"]
    text = ""
    for token in ("<unk>", " a", " <unk>", " <unk>s", " <unk>", " <unk>", " b"):
        text += token
        assert words.put_into_growing(text) == words.put_into(text)
        assert words._searched >= len(text) - len(token)
