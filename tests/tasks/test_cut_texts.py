"""Texts that a model's own length cuts, and limits of what it reads as a whole."""

from pathlib import Path

import pytest

from app.engine.protocol import Tokens
from app.errors import InputTooLong, InputTooShort
from app.store.encoders import TextEncoder
from app.store.model_store import open_version
from app.store.recurrence import Recurrence
from app.store.tagger import Tagger
from app.store.text_input import FixedLength, TokenizerUse
from app.store.windowed_stages import Convolution
from app.tasks.catalog import Entry, entry_of, open_catalog
from app.tasks.job import ReadSource
from app.tasks.registry import BY_NAME, CHECKS
from app.tasks.run import _check_length
from app.tasks.sources.limits import SourceLimits
from app.tasks.sources.reading import Reading
from app.tasks.sources.words import _read
from app.text.tokenizer import TextTokenizer
from app.text.word_tokenizers import build
from tests.tiny_kinds import _draft
from tests.tiny_store import VOCABULARY, publish_tiny, tiny_tokenizer

TEXT = "a warm and funny film that i would gladly see again"


def _tagger(folder: Path, length: FixedLength) -> Entry:
    encoder = TextEncoder(
        vocabulary_size=VOCABULARY, recurrence=Recurrence(cell="gru", input_size=4, hidden_size=4, directions=2)
    )
    use = TokenizerUse(length=length)
    draft = _draft("tag5", "tagging", Tagger(encoder=encoder, labels=2), labels=("O", "I-X"), tokenizer=use)
    publish_tiny(draft, folder / "store", tiny_tokenizer(folder))
    return entry_of(open_version(folder / "store" / draft.key), CHECKS)


def test_a_tagger_says_that_a_text_is_too_long(tmp_path: Path) -> None:
    entry = _tagger(tmp_path, FixedLength(to=5, pad=0, pad_side="right"))
    options, limits = BY_NAME["tagging"].options, SourceLimits(text_chars=20, image_bytes=0, image_pixels=0)
    with pytest.raises(InputTooLong, match="the limit of tag5 is 5") as caught:
        _read(TEXT, Reading(entry, 0, options(), False, 100), limits)
    assert caught.value.facts["limit"] == 5
    truncated = _read(TEXT, Reading(entry, 0, options(truncate=True), False, 100), limits)
    assert truncated.words[0].text == "a"


def test_truncate_keeps_the_end_where_the_model_reads_the_end(tmp_path: Path) -> None:
    words = [f"w{number}" for number in range(20)]
    build("spaces_lower", ["<unk>", *words], unk="<unk>").save(str(tmp_path / "tokenizer.json"))

    def shown(length: FixedLength, *, reverse: bool = False) -> list[str]:
        tokenizer = TextTokenizer(tmp_path, TokenizerUse(length=length, reverse=reverse))
        found = tokenizer.pieces(" ".join(words), most=2)
        assert [tokenizer.piece(id) for id in tokenizer.encode(" ".join(words), most=2)] == [one.text for one in found]
        return [one.text.strip() for one in found]

    assert shown(FixedLength(to=10, cut_side="left")) == ["w18", "w19"]
    assert shown(FixedLength(to=10)) == ["w0", "w1"]
    assert shown(FixedLength(to=10), reverse=True) == ["w19", "w18"]


def test_unusual_cells_read_less_as_a_whole() -> None:
    def encoder(layers: int = 1, **changes: str) -> TextEncoder:
        recurrence = Recurrence(cell="lstm", input_size=4, hidden_size=4, layers=layers, directions=2, **changes)
        return TextEncoder(vocabulary_size=9, recurrence=recurrence)

    assert encoder().whole_steps(10_000) == 10_000
    assert encoder(recurrent_activation="hard_sigmoid_5").whole_steps(10_000) == 1000
    assert encoder(20, recurrent_activation="hard_sigmoid_5").whole_steps(10_000) == 250  # 40 passes, step by step


def test_a_window_over_steps_has_a_limit() -> None:
    with pytest.raises(ValueError, match="the limit is 10,000"):
        Convolution(width=1, kernel=1025, dilation=1025, padding="causal")


def test_the_sentence_that_is_too_short_is_named(tiny_store: Path) -> None:
    entry = open_catalog(tiny_store, CHECKS).entries["sentiment-en", 1]
    with pytest.raises(InputTooShort, match=r"sentence 3 of inputs\[1\] has 1 token;"):
        _check_length(entry, ReadSource(Tokens([5]), part=2), 3, 1)
