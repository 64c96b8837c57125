"""Words with their tokens: they cover the text, and lead to the ids of `encode`."""

import re
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from app.store.text_input import FixedLength, TokenizerUse
from app.text.placed_words import PlacedWord, Token, given_words, split_words
from app.text.tokenizer import TextTokenizer
from tests.tiny_store import tiny_tokenizer

TEXTS = [
    "a warm and funny film that i would gladly see again",
    "  two  spaces\tand a line\nend ",
    "정말 재미있게 봤어요",
    "unseen: ünïcödé, 漢字 and 😀!",
    "in 2015, not 20 15",
    "x",
]


def subwords(folder: Path, **use: Any) -> TextTokenizer:
    return TextTokenizer(folder, TokenizerUse(file=tiny_tokenizer(folder).name, **use))


def by_punctuation(folder: Path) -> TextTokenizer:
    """Whole words, with punctuation apart; a word that is unknown is skipped."""
    vocabulary = {word: place for place, word in enumerate(["<unk>", "the", "file", ".", ",", "save", "can", "not"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "words.json"))
    return TextTokenizer(folder, TokenizerUse(file="words.json", unknown="skip"))


def known(words: list[PlacedWord | None]) -> list[PlacedWord]:
    return [word for word in words if word is not None]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("white_space", ["kept", "plain"])
def test_words_of_a_subword_tokenizer(tmp_path: Path, text: str, white_space: str) -> None:
    tokenizer = subwords(tmp_path, white_space=white_space)
    ids, words = tokenizer.encode_words(text)
    assert ids == tokenizer.encode(text)
    assert [word.text for word in known(words)] == re.findall(r"\w+|[^\w\s]", text)  # as its pre-tokenizer splits
    pieces = tokenizer.pieces(text)
    for word in known(words):
        assert text[word.start : word.end] == word.text
        assert pieces[word.first].start <= word.start < word.end <= pieces[word.last].end
        inside = "".join(text[piece.start : piece.end] for piece in pieces[word.first : word.last + 1])
        assert "<0x" in "".join(piece.text for piece in pieces[word.first : word.last + 1]) or inside.split() == [
            word.text
        ]


@pytest.mark.parametrize(
    "use",
    [
        {"prepend": (4, 5), "append": (6,)},
        {"reverse": True, "append": (6,)},
        {"length": FixedLength(to=40, pad=3), "prepend": (4,)},
    ],
)
def test_places_are_those_of_the_whole_source(tmp_path: Path, use: dict[str, Any]) -> None:
    text = TEXTS[0]
    plain, tokenizer = subwords(tmp_path), subwords(tmp_path, **use)
    own, expected = plain.encode_words(text)
    ids, words = tokenizer.encode_words(text)
    assert ids == tokenizer.encode(text)
    for word, alone in zip(known(words), known(expected), strict=True):
        assert (ids[word.first], ids[word.last]) == (own[alone.first], own[alone.last])


def test_a_source_that_is_cut_has_no_words_behind_the_cut(tmp_path: Path) -> None:
    tokenizer = subwords(tmp_path, length=FixedLength(to=6, pad=3))
    ids, words = tokenizer.encode_words(TEXTS[0])
    assert len(ids) == 6
    assert words[0] is not None
    assert words[-1] is None
    cut, fewer = subwords(tmp_path).encode_words(TEXTS[0], most=6)
    assert len(cut) == 6
    assert len(known(fewer)) < len(TEXTS[0].split())


def test_words_are_apart_from_punctuation_if_the_tokenizer_says_so(tmp_path: Path) -> None:
    ids, words = by_punctuation(tmp_path).encode_words("save the file, cannot the file.")
    assert [word.text for word in known(words)] == ["save", "the", "file", ",", "the", "file", "."]
    assert [(word.first, word.last) for word in known(words)] == [(place, place) for place in range(7)]
    assert len(ids) == 7


def test_an_accent_belongs_to_the_letter_before_it() -> None:
    """A tokenizer that composes letters may end before it."""
    text = "cafe\u0301 \u1112\u1161\u11ab x"
    words = split_words(text, [Token(0, 4, 0), Token(6, 7, 1), Token(10, 11, 2)])
    assert [(word.text, word.start, word.end) for word in words] == [(text[:5], 0, 5), (text[6:9], 6, 9), ("x", 10, 11)]
    (given,) = given_words(text, [(0, 5)], [Token(0, 4, 0)])
    assert given is not None
    assert given.text == text[:5]


def test_given_words_keep_their_tokens_together(tmp_path: Path) -> None:
    tokenizer = by_punctuation(tmp_path)
    text, places = "save the-file . unseen", [(0, 4), (5, 13), (14, 15), (16, 22)]
    _, words = tokenizer.encode_words(text, places)
    save, joined, stop, unseen = words
    assert (save, stop) == (PlacedWord("save", 0, 4, 0, 0), PlacedWord(".", 14, 15, 3, 3))
    assert joined == PlacedWord("the-file", 5, 13, 1, 2)  # the hyphen is skipped
    assert unseen is None


def test_given_words_of_a_tokenizer_that_joins_them(tmp_path: Path) -> None:
    """A token over two words belongs to both."""
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0, "new york": 1}, unk_token="<unk>"))
    tokenizer.save(str(tmp_path / "one.json"))
    joined = TextTokenizer(tmp_path, TokenizerUse(file="one.json"))
    ids, words = joined.encode_words("new york", [(0, 3), (4, 8)])
    assert ids == [1]
    assert [(word.first, word.last) for word in known(words)] == [(0, 0), (0, 0)]
