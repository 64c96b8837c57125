"""The source kind text: refusals with their index, and token ids of the rest."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from app.engine.protocol import Tokens
from app.errors import EmptyInput, InputTooLong, UnrollError
from app.tasks.catalog import Entry, open_catalog
from app.tasks.job import ReadSource
from app.tasks.registry import CHECKS
from app.tasks.sources.image_decoders import ImageDecoders
from app.tasks.sources.limits import SourceLimits
from app.tasks.sources.source_kind import Reader
from app.tasks.sources.text import TextSource

LIMITS = SourceLimits(text_chars=100, image_bytes=0, image_pixels=0)


def read(texts: Sequence[str], entries: Sequence[Entry]) -> list[ReadSource]:
    reader = Reader(LIMITS, ImageDecoders(1, seconds=1, pixels=1))  # they do not start without an image
    return asyncio.run(TextSource().read(texts, entries, reader, pieces=False, deadline=None))


@pytest.fixture(scope="module")
def translator(tiny_store: Path) -> Entry:
    """An entry with a limit of 120 tokens, which appends one to each source."""
    return open_catalog(tiny_store, CHECKS).entries["translate-en-ko", 1]


@pytest.fixture(scope="module")
def classifier(tiny_store: Path) -> Entry:
    return open_catalog(tiny_store, CHECKS).entries["sentiment-en", 1]


@pytest.mark.parametrize("text", ["a", " a ", "\u200b", "x" * 100, "가" * 100, "\U0001f3ac" * 100, "\x00"])
def test_a_text_within_the_limit_passes(text: str) -> None:
    TextSource().check([text], LIMITS)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", EmptyInput),
        (" ", EmptyInput),
        ("\t\r\n\u00a0\u2003\u3000", EmptyInput),
        ("x" * 101, InputTooLong),
        (" " * 101, InputTooLong),
        ("\U0001f3ac" * 101, InputTooLong),
    ],
)
def test_a_refused_text_is_named_by_its_place(text: str, error: type[UnrollError]) -> None:
    with pytest.raises(error) as caught:
        TextSource().check(["a", "b", text, ""], LIMITS)
    assert caught.value.facts["input"] == 2
    assert "inputs[2]" in caught.value.detail
    if error is InputTooLong:
        assert caught.value.facts["limit"] == 100
        assert "the limit is 100" in caught.value.detail


def test_each_text_is_encoded_by_its_own_model(translator: Entry, classifier: Entry) -> None:
    text = "save the changes"
    sources = read([text, text], [translator, classifier])
    assert [one.source for one in sources] == [
        Tokens(translator.tokenizer.encode(text)),
        Tokens(classifier.tokenizer.encode(text)),
    ]
    assert sources[0].tokens == sources[1].tokens + len(translator.manifest.tokenizer.append)
    assert translator.manifest.tokenizer.append


def test_long_requests_are_encoded_as_short_ones(classifier: Entry) -> None:
    """Texts above the threshold are read in a thread, with the same result."""
    texts = [f"a warm and funny film number {number}" for number in range(400)]
    together = read(texts, [classifier] * len(texts))
    assert [one.source for one in together] == [Tokens(classifier.tokenizer.encode(text)) for text in texts]


@pytest.mark.parametrize("before", [1, 300])
def test_more_tokens_than_the_model_takes_are_refused(translator: Entry, before: int) -> None:
    """Texts at the limit, and one above it, with and without the thread."""
    most = translator.manifest.limits.source_tokens
    assert most is not None
    fits = "a"
    while len(translator.tokenizer.encode(fits + " a")) <= most:
        fits += " a"
    short = ["save the changes"] * before
    sources = read([*short, fits], [translator] * (before + 1))
    assert most - 1 <= sources[-1].tokens <= most
    with pytest.raises(InputTooLong) as caught:
        read([*short, fits + " a"], [translator] * (before + 1))
    assert caught.value.facts == {"input": before, "limit": most}


def test_a_text_without_any_token_is_refused(tiny_store: Path, classifier: Entry) -> None:
    class Deaf:
        """A tokenizer without any known word."""

        def encode(self, text: str) -> list[int]:
            return []

    deaf = Entry(classifier.manifest, Deaf(), classifier.target_tokenizer)  # type: ignore[arg-type]
    with pytest.raises(EmptyInput) as caught:
        read(["a", "b"], [classifier, deaf])
    assert caught.value.facts == {"input": 1}
