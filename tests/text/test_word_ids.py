"""Texts by the ids of their words are read as by the tokenizer itself."""

import random
from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer, normalizers, pre_tokenizers

from app.text.white_space import plain
from app.text.word_ids import WordIds, reads_words_alone
from tests.tiny_store import tiny_tokenizer

SHIPPED = sorted(Path("model_store").glob("*/*/tokenizer.json"))
CHARACTERS = (
    "abcdefgABCDEFG ěé́ß İΣςσ가각힣\u1100\u1161\u11a8漢字ひﬁ①½٣۵०12.,!?'\"’”-_()…。、·😀🇰🇷▁<s>"
    "\u0301\u0308\u00a8\u200b\u200d\ufe0f\U00010330"
)


def texts(count: int) -> list[str]:
    chance = random.Random(7)
    drawn = ("".join(chance.choices(CHARACTERS + 15 * " ", k=chance.randint(1, 60))) for _ in range(count))
    return [text for text, _ in map(plain, drawn) if text]


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.parent.parent.name)
def test_the_ids_are_those_of_the_tokenizer(file: Path) -> None:
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.encode_special_tokens = True
    if not reads_words_alone(tokenizer):
        assert file.parent.parent.name == "tag-en"  # it splits with a pattern
        return
    read = WordIds(tokenizer)
    for text in 2 * [*texts(1000), "x" * 100 + " " + "y" * 100]:
        assert read(text) == tokenizer.encode(text, add_special_tokens=False).ids, text


def test_more_words_than_are_kept(tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_file(str(tiny_tokenizer(tmp_path)))
    read = WordIds(tokenizer, most=8)
    for text in texts(100):
        assert read(text) == tokenizer.encode(text, add_special_tokens=False).ids, text


def test_a_tokenizer_that_looks_beyond_words_reads_whole_texts(tmp_path: Path) -> None:
    file = str(tiny_tokenizer(tmp_path))
    assert reads_words_alone(Tokenizer.from_file(file))
    adds, joins, splits, cuts = (Tokenizer.from_file(file) for _ in range(4))
    adds.add_tokens([AddedToken("two words")])
    joins.normalizer = normalizers.Replace(" ", "_")
    splits.pre_tokenizer = pre_tokenizers.Metaspace(split=False)
    cuts.enable_truncation(5)
    assert not any(map(reads_words_alone, (adds, joins, splits, cuts)))
