"""Words in place of unknown ones: not counted as details, and put into a stream at the cost of its new part."""

import re
from pathlib import Path

from app.engine.protocol import Decode, Tokens
from app.tasks.answers.decoding_options import DecodingOptions
from app.tasks.answers.details import _most_numbers
from app.tasks.answers.source_words import SourceWords
from app.tasks.catalog import open_catalog
from app.tasks.job import Job, ReadSource
from app.tasks.registry import CHECKS


def test_attention_that_nobody_asked_for_is_no_detail(tiny_store: Path) -> None:
    entry = open_catalog(tiny_store, CHECKS).entries["translate-en-ko", 1]
    source, request = ReadSource(Tokens([5] * 20)), Decode(100, attention=True)
    assert _most_numbers(Job(entry, source, request, DecodingOptions())) == 0
    assert _most_numbers(Job(entry, source, request, DecodingOptions(attention=True))) == 2000


def test_a_growing_text_is_the_whole_text(tiny_store: Path) -> None:
    entry = open_catalog(tiny_store, CHECKS).entries["translate-en-ko", 1]
    words = SourceWords(Job(entry, ReadSource(Tokens([5])), Decode(9), DecodingOptions()))
    words._mark, words._words = re.compile(r"(?<!\S)<unk>(?!\S)"), ["one", "two", "three"]
    text = ""
    for token in ("<unk>", " a", " <unk>", " <unk>s", " <unk>", " <unk>", " b"):
        text += token
        assert words.put_into_growing(text) == words.put_into(text)
        assert words._searched >= len(text) - len(token)
