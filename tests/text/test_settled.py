"""The shown part of a text never changes while more tokens are decoded."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from app.store.text_input import TokenizerUse
from app.text.tokenizer import TextTokenizer

(SHIPPED,) = (Path(__file__).parents[2] / "model_store" / "translate-en-ko").iterdir()
FIRST_BYTE, FIRST_WORD, LAST_WORD = 4, 260, 7999
WORDS = ["쀼 뷁", "😀 ab", "저장하시겠습니까?", "x  y", "漢字", "닫기 전에"]


@pytest.fixture(scope="module")
def tokenizer() -> TextTokenizer:
    return TextTokenizer(SHIPPED, TokenizerUse(append=(2,)))


def random_ids(rng: random.Random, tokenizer: TextTokenizer) -> list[int]:
    """Words, pieces of words, whole characters in bytes, and bytes that are no character."""
    ids: list[int] = []
    while len(ids) < rng.randint(1, 40):
        kind = rng.random()
        if kind < 0.35:
            ids.append(rng.randint(FIRST_BYTE, FIRST_WORD - 1))
        elif kind < 0.65:
            ids += tokenizer.encode_target(rng.choice(WORDS))
        else:
            ids.append(rng.randint(FIRST_WORD, LAST_WORD + 500))  # a network may have more ids than its tokenizer
    return ids


@pytest.mark.parametrize("seed", range(300))
def test_settled_text_is_the_beginning_of_whatever_it_becomes(tokenizer: TextTokenizer, seed: int) -> None:
    rng = random.Random(seed)
    ids = random_ids(rng, tokenizer)
    whole = tokenizer.unstripped(ids)
    before = ""
    for end in range(len(ids) + 1):
        settled = tokenizer.settled(ids[:end])
        assert whole.startswith(settled)
        assert settled.startswith(before)
        before = settled
    assert tokenizer.decode(ids) == whole.strip()


def test_half_a_syllable_is_not_settled(tokenizer: TextTokenizer) -> None:
    ids = tokenizer.encode_target("쀼")
    assert len(ids) >= 3, "the syllable has to be spelt in bytes"
    assert {tokenizer.settled(ids[:end]) for end in range(len(ids) + 1)} == {""}
    after = tokenizer.encode_target("가")
    assert tokenizer.settled([*ids, *after]).startswith("쀼")


def test_letters_of_a_syllable_are_not_settled_until_another_character_follows() -> None:
    """As a tokenizer that was trained on decomposed text would emit them."""
    letters = _Letters()
    assert [letters.settled(list(range(end))) for end in range(5)] == ["", "가", "가", "가", "가\u1100\u1161!"]


class _Letters(TextTokenizer):
    """A token for each character."""

    def __init__(self) -> None:
        self._words = frozenset(range(5))

    def _decode(self, ids: Sequence[int]) -> str:
        return "가\u1100\u1161!"[: len(ids)]


def test_pieces_lead_back_to_the_text(tokenizer: TextTokenizer) -> None:
    text = "Open the 쀼  file, now"
    pieces = tokenizer.pieces(text)
    assert len(pieces) == len(tokenizer.encode(text))
    assert (pieces[0].text, text[pieces[0].start : pieces[0].end].strip()) == (" Open", "Open")
    assert (pieces[-1].start, pieces[-1].end) == (len(text), len(text))
    assert [text[piece.start : piece.end] for piece in pieces if piece.text.startswith("<0x")] == ["쀼"] * 3
    assert tokenizer.encode_target(text) == tokenizer.encode(text)[:-1]
