"""The source kind text: refusals with their index, and token ids of the rest."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from app.engine.protocol import Tokens
from app.errors import EmptyInput, InputTooLong
from app.store.text_input import FixedLength, Replacement, TokenizerUse
from app.tasks.catalog import Entry, open_catalog
from app.tasks.job import ReadSource
from app.tasks.options import SentenceOptions, TaskOptions, TextOptions
from app.tasks.registry import CHECKS
from app.tasks.sources.image_decoders import ImageDecoders
from app.tasks.sources.limits import SourceLimits
from app.tasks.sources.source_kind import Reader
from app.tasks.sources.text import MOST_IN_REQUEST, MOST_SENTENCES, TextSource
from app.text.tokenizer import TextTokenizer
from app.text.word_tokenizers import build
from tests.loop_turns import turns_of_loop

LIMITS = SourceLimits(text_chars=100, image_bytes=0, image_pixels=0)


NONE = TaskOptions()


def read(
    texts: Sequence[str], entries: Sequence[Entry], options: TaskOptions = NONE, *, pieces: bool = False, **source: bool
) -> list[ReadSource]:
    reader = Reader(LIMITS, ImageDecoders(1, seconds=1, pixels=1))  # they do not start without an image
    return asyncio.run(TextSource(**source).read(texts, entries, reader, options, pieces=pieces, deadline=None))


@pytest.fixture(scope="module")
def translator(tiny_store: Path) -> Entry:
    """An entry with a limit of 120 tokens, which appends one to each source."""
    return open_catalog(tiny_store, CHECKS).entries["translate-en-ko", 1]


@pytest.fixture(scope="module")
def classifier(tiny_store: Path) -> Entry:
    return open_catalog(tiny_store, CHECKS).entries["sentiment-en", 1]


@pytest.mark.parametrize("text", ["a", " a ", "\u200ba", "x" * 100, "가" * 100, "\U0001f3ac" * 100, "\x00"])
def test_a_text_within_the_limit_passes(text: str) -> None:
    TextSource().check([text], LIMITS, NONE)


@pytest.mark.parametrize("text", ["", " ", "\t\r\n\u00a0\u2003\u3000", "\u200b", "\ufeff\u00ad \u2060"])
def test_an_empty_text_is_named_by_its_place(classifier: Entry, text: str) -> None:
    texts = ["a", "b", text, ""]
    TextSource().check(texts, LIMITS, NONE)  # the model may read it
    with pytest.raises(EmptyInput, match=r"inputs\[2\] is empty; send") as caught:
        read(texts, [classifier] * 4)
    assert caught.value.facts["input"] == 2


@pytest.mark.parametrize("text", ["x" * 101, " " * 101, "\U0001f3ac" * 101])
def test_a_text_that_is_too_long_is_named_by_its_place(text: str) -> None:
    with pytest.raises(InputTooLong, match=r"inputs\[2\].*the limit is 100") as caught:
        TextSource().check(["a", "b", text, ""], LIMITS, NONE)
    assert caught.value.facts == {"input": 2, "limit": 100}


@pytest.mark.parametrize("text", ["", " "])
def test_an_empty_text_is_read_by_a_model_that_reads_it(classifier: Entry, tmp_path: Path, text: str) -> None:
    """As padding, and the ids before every text."""
    build("spaces_lower", ["<pad>", "<start>", "good"], unk=None).save(str(tmp_path / "tokenizer.json"))
    length = FixedLength(to=4, pad=0)
    use = TokenizerUse(unknown="skip", prepend=(1,), length=length, empty="read")
    entry = Entry(classifier.manifest, TextTokenizer(tmp_path, use), classifier.target_tokenizer)
    ((only,), (good,)) = (read([one], [entry], pieces=True) for one in (text, "Good"))
    assert (only.source, good.source) == (Tokens([0, 0, 0, 1]), Tokens([0, 0, 1, 2]))
    assert [piece.text for piece in only.pieces] == ["<pad>", "<pad>", "<pad>", "<start>"]


def test_a_text_that_cleaning_makes_too_long_is_named_by_its_place(classifier: Entry, tmp_path: Path) -> None:
    build("spaces", ["good"], unk=None).save(str(tmp_path / "tokenizer.json"))
    use = TokenizerUse(unknown="skip", cleaning=(Replacement(pattern="o", by="o" * 100),) * 4)
    entry = Entry(classifier.manifest, TextTokenizer(tmp_path, use), classifier.target_tokenizer)
    with pytest.raises(InputTooLong, match=r"inputs\[1\]: the text has .* characters after cleaning") as caught:
        read(["good", "good"], [classifier, entry])
    assert caught.value.facts["input"] == 1


def test_each_text_is_encoded_by_its_own_model(translator: Entry, classifier: Entry) -> None:
    text = "save the changes"
    sources = read([text, text], [translator, classifier])
    assert [one.source for one in sources] == [
        Tokens(translator.tokenizer.encode(text)),
        Tokens(classifier.tokenizer.encode(text)),
    ]
    use = translator.manifest.tokenizer
    assert use is not None
    assert sources[0].tokens == sources[1].tokens + len(use.append)
    assert use.append


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


def test_a_text_without_any_token_is_refused(classifier: Entry, tmp_path: Path) -> None:
    build("spaces", ["good"], unk=None).save(str(tmp_path / "tokenizer.json"))
    tokenizer = TextTokenizer(tmp_path, TokenizerUse(unknown="skip"))
    entry = Entry(classifier.manifest, tokenizer, classifier.target_tokenizer)
    with pytest.raises(EmptyInput) as caught:
        read(["a", "bad"], [classifier, entry])
    assert caught.value.facts == {"input": 1}


def test_the_rest_of_a_text_that_is_cut_is_not_read(translator: Entry) -> None:
    options = TextOptions(truncate=True)
    with pytest.raises(EmptyInput, match=r"inputs\[1\] is empty"):
        read(["a", " " * 100 + "a"], [translator] * 2, options)


@pytest.fixture(scope="module")
def language_model(tiny_store: Path) -> Entry:
    return open_catalog(tiny_store, CHECKS).entries["lm-en", 1]


def test_a_long_text_is_truncated_on_request(translator: Entry) -> None:
    """To the limit of tokens, with the token that the model appends; the error without it names the option."""
    most = translator.manifest.limits.source_tokens
    assert most is not None
    long = "save the changes " * 50
    text = ("a b " * 25)[:98]
    (whole,) = read([text], [translator])
    (cut,) = read([text + "zzz" + long], [translator], TextOptions(truncate=True), pieces=True)
    assert isinstance(cut.source, Tokens)
    assert isinstance(whole.source, Tokens)
    assert cut.source.ids[: len(whole.source.ids) - 1] == whole.source.ids[:-1]
    assert len(cut.pieces) == len(cut.source.ids) <= most
    for options in (TextOptions(), SentenceOptions()):
        with pytest.raises(InputTooLong, match="set truncate to true"):
            TextSource().check([text + long], LIMITS, options)
    TextSource().check([text + long], LIMITS, TextOptions(truncate=True))


def test_tokens_are_truncated_on_request(translator: Entry, language_model: Entry) -> None:
    """The end of a source is left out, and the beginning of a text to continue."""
    for entry, source in ((translator, {}), (language_model, {"continues": True})):
        limits = entry.manifest.limits.model_copy(update={"source_tokens": 12})
        small = Entry(entry.manifest.model_copy(update={"limits": limits}), entry.tokenizer, entry.target_tokenizer)
        text = " ".join(f"file{number}" for number in range(10))
        with pytest.raises(InputTooLong, match=r"the limit of .* is 12: split the text, or set truncate to true"):
            read([text], [small], TextOptions(), **source)
        (cut,) = read([text], [small], TextOptions(truncate=True), **source)
        own, use = entry.tokenizer.encode_target(text), entry.manifest.tokenizer
        assert use is not None
        assert isinstance(cut.source, Tokens)
        if source:
            assert [*cut.source.ids, cut.first] == [*use.prepend, *own[-10:]]
        else:
            assert cut.source.ids == [*own[:11], *use.append]


@pytest.mark.parametrize("one_sentence", [False, True])
@pytest.mark.parametrize("wanted", [None, False, True])
def test_sentences_are_read_apart_if_card_or_request_says_so(
    translator: Entry, one_sentence: bool, wanted: bool | None
) -> None:
    entry = Entry(
        translator.manifest.model_copy(update={"one_sentence": one_sentence}),
        translator.tokenizer,
        translator.target_tokenizer,
    )
    text = " Save it.  Close the file.\n\nOpen"
    (read_text,) = read([text], [entry], SentenceOptions(split_sentences=wanted), pieces=True)
    encode = translator.tokenizer.encode
    if not (one_sentence if wanted is None else wanted):
        assert read_text.source == Tokens(encode(text))
        assert not read_text.following
        return
    assert read_text.source == Tokens(encode("Save it."))
    assert [(between, one.source) for between, one in read_text.following] == [
        ("  ", Tokens(encode("Close the file."))),
        ("\n\n", Tokens(encode("Open"))),
    ]
    assert [one.part for _, one in read_text.following] == [1, 2]
    pieces = [*read_text.pieces, *(piece for _, one in read_text.following for piece in one.pieces)]
    assert "".join("".join(text[piece.start : piece.end] for piece in pieces).split()) == "".join(text.split())


def test_an_input_has_a_limit_of_sentences(translator: Entry) -> None:
    options = SentenceOptions(split_sentences=True)
    (most,) = read(["a\n" * (MOST_SENTENCES + 1)], [translator], options)
    assert len(most.following) == MOST_SENTENCES
    with pytest.raises(InputTooLong, match="set split_sentences to false") as caught:
        read(["a", "a\n" * (MOST_SENTENCES + 2)], [translator] * 2, options)
    assert caught.value.facts == {"input": 1, "limit": MOST_SENTENCES}


def test_a_request_has_a_limit_of_sentences(translator: Entry) -> None:
    """A batch of as many inputs as a request has, of six sentences each, is far below it."""
    options = SentenceOptions(split_sentences=True)
    texts = ["a\n" * 6] * 256
    assert sum(len(one.following) for one in read(texts, [translator] * 256, options)) == 5 * 256
    most = MOST_IN_REQUEST // MOST_SENTENCES
    texts = ["a\n" * (MOST_SENTENCES + 1)] * most
    assert len(read(texts, [translator] * most, options)) == most
    with pytest.raises(InputTooLong, match="send several requests, or set split_sentences to false") as caught:
        read([*texts, "a", "a\nb"], [translator] * (most + 2), options)
    assert caught.value.facts == {"input": most + 1, "limit": MOST_IN_REQUEST}


@pytest.mark.parametrize(
    "texts", [["ab\n" * 1000], ["Do it. " * 500], ["a"] * 500], ids=["lines", "sentences", "inputs"]
)
def test_many_sentences_are_not_read_in_one_turn(translator: Entry, texts: list[str]) -> None:
    """They have fewer characters than a text that is read without a thread."""

    async def scenario() -> list[int]:
        reader = Reader(LIMITS, ImageDecoders(1, seconds=1, pixels=1))
        options = SentenceOptions(split_sentences=True)
        async with turns_of_loop() as turns:
            await TextSource().read(texts, [translator] * len(texts), reader, options, pieces=False, deadline=None)
        return turns

    turns = asyncio.run(scenario())
    assert max(turns) < 4_000


@pytest.mark.parametrize(
    ("text", "ends_within_word"),
    [("a film", True), ("a film ", False), ("a film\u200b", True), ("a film \u200b", False), ("\u200b", False)],
)
def test_a_continuation_begins_where_the_visible_text_ends(
    language_model: Entry, text: str, ends_within_word: bool
) -> None:
    (found,) = read([text], [language_model], continues=True)
    assert bool(found.after) is ends_within_word
