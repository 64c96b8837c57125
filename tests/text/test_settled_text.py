"""The tokens of a text in two parts are those of the whole, wherever it goes on."""

import random
from pathlib import Path

import pytest

from app.store.text_input import FixedLength, Replacement, TokenizerUse
from app.text.settled_text import split_text, why_not_settled
from app.text.tokenizer import TextTokenizer
from app.text.word_tokenizers import Rules, build
from tests.tiny_store import TEXTS, tiny_tokenizer

WORDS = "naïve  film\u3000정말 ㅈㅓㅇ마\u1161\u11af e\u0301clair, don't x2y ΟΔΟΣ!? a .\n\tb\u200b c " + " ".join(TEXTS)


def _grown(tokenizer: TextTokenizer, use: TokenizerUse, pieces: list[str]) -> list[int]:
    """The ids of a text that arrives in pieces: only the settled ones stay."""
    ids: list[int] = []
    text = ""
    rest: list[int] = []
    for piece in pieces:
        split = split_text(text + piece, use, tokenizer.encode_target)
        ids += split.settled
        text, rest = (text + piece)[split.end :], split.rest
    return ids + rest


@pytest.mark.parametrize("white_space", ["plain", "kept"])
@pytest.mark.parametrize("rules", ["subwords", "spaces", "basic_english", "characters", "udacity"])
def test_a_text_in_pieces_has_the_tokens_of_the_whole(tmp_path: Path, rules: Rules, white_space: str) -> None:
    use = TokenizerUse.model_validate({"white_space": white_space})
    if rules == "subwords":  # type: ignore[comparison-overlap]  # no rule of words
        tiny_tokenizer(tmp_path).rename(tmp_path / use.file)
    else:
        words = sorted({*WORDS.lower().split(), *WORDS, "unk"})
        build(rules, words, unk="unk").save(str(tmp_path / use.file))
    tokenizer = TextTokenizer(tmp_path, use)
    draw = random.Random(rules)
    for _ in range(40):
        begin = draw.randrange(len(WORDS) - 60)
        text = WORDS[begin : begin + 60]
        cuts = sorted(draw.sample(range(1, 60), draw.randrange(1, 9)))
        pieces = [text[first:last] for first, last in zip([0, *cuts], [*cuts, 60], strict=True)]
        assert _grown(tokenizer, use, pieces) == tokenizer.encode_target(text), pieces


def test_a_word_stays_until_a_space_and_another_follow_it() -> None:
    def settled(text: str) -> str:
        return text[: split_text(text, TokenizerUse(), lambda part: [len(word) for word in part.split()]).end]

    assert settled("one") == ""
    assert settled("one ") == ""
    assert settled("one two") == "one"
    assert settled("one two  three  ") == "one two"


def test_thousands_of_words_without_a_token_are_looked_at_a_few_times() -> None:
    sizes = []

    def encode(part: str) -> list[int]:
        sizes.append(len(part))
        return [1] * part.count("a")

    text = "a a" + " z" * 9000
    assert split_text(text, TokenizerUse(), encode).end <= len("a")
    assert sum(sizes) < 6 * len(text)


def test_rules_that_look_across_words_say_so() -> None:
    assert why_not_settled(TokenizerUse()) is None
    for use, reason in (
        (TokenizerUse(split="nltk"), "nltk"),
        (TokenizerUse(cleaning=(Replacement(pattern="<[^>]*>", by=""),)), "cleaning"),
        (TokenizerUse(reverse=True), "from its end"),
        (TokenizerUse(length=FixedLength(to=9)), "fixed length"),
    ):
        assert reason in str(why_not_settled(use))
