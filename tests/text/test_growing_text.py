"""A text that grows id by id is the text of all ids at once."""

import random
from pathlib import Path

import pytest

from app.store.text_input import TokenizerUse
from app.text.growing_text import GrowingText
from app.text.tokenizer import TextTokenizer
from tests.tiny_store import tiny_tokenizer

STORE = Path(__file__).parents[2] / "model_store"
FILES = sorted({*STORE.glob("*/*/tokenizer*.json"), *STORE.glob("*/*/target*.json")})


def check(tokenizer: TextTokenizer, ids: list[int], after: list[int]) -> None:
    text = GrowingText(tokenizer, after)
    for count, token in enumerate(ids, 1):
        text.add(token)
        assert text.settled == tokenizer.settled(ids[:count], after=after)
        assert text.unstripped == tokenizer.unstripped(ids[:count], after=after)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parents[1].name)
@pytest.mark.parametrize("seed", range(3))
def test_shipped_tokenizers(file: Path, seed: int) -> None:
    """Random ids, of which some are bytes, letters of Hangul and white space."""
    tokenizer = TextTokenizer(file.parent, TokenizerUse(file=file.name))
    chance = random.Random(seed)
    texts = ["안녕하세요", "한글", "ünïcödé", "漢字", "😀\u200b", "", "a\tb\n한국어", "Open", "file."]
    ids: list[int] = []
    while len(ids) < 300:
        if chance.random() < 0.5:
            ids += tokenizer.encode_target(chance.choice(texts) + " " * chance.randint(0, 2))
        else:
            ids += [chance.randrange(8500) for _ in range(chance.randint(1, 40))]
    cut = chance.randint(1, 50)
    check(tokenizer, ids[cut:], [])
    check(tokenizer, ids[cut:], tokenizer.end_of(ids[:cut]))


def test_blanks_at_the_beginning(tmp_path: Path) -> None:
    tokenizer = TextTokenizer(tmp_path, TokenizerUse(file=tiny_tokenizer(tmp_path).name))
    blanks = tokenizer.encode_target(" " * 300)
    check(tokenizer, blanks + tokenizer.encode_target("a film") * 50, [])


def test_a_copy_grows_on_its_own(tmp_path: Path) -> None:
    tokenizer = TextTokenizer(tmp_path, TokenizerUse(file=tiny_tokenizer(tmp_path).name))
    ids = tokenizer.encode_target("a warm and funny film") * 20
    text = GrowingText(tokenizer)
    for count, token in enumerate(ids):
        copy = text.copy()
        for other in ids[:70]:
            copy.add(other)
        assert copy.settled == tokenizer.settled([*ids[:count], *ids[:70]])
        assert text.settled == tokenizer.settled(ids[:count])
        text.add(token)
