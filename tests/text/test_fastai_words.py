"""fastai's rules, compared with regular expressions that say the same, which may take quadratic time."""

import html
import random
import re
from functools import cache, partial
from typing import Any

import pytest
import spacy

from app.text.fastai_words import FastaiWords

MARKS = ["xxunk", "xxpad", "xxbos", "xxeos", "xxfld", "xxrep", "xxwrep", "xxup", "xxmaj"]
REPAIRS = [
    ("#39;", "'"),
    ("amp;", "&"),
    ("#146;", "'"),
    ("nbsp;", " "),
    ("#36;", "$"),
    ("\\n", "\n"),
    ("quot;", "'"),
    ("<br />", "\n"),
    ('\\"', '"'),
    ("<unk>", "xxunk"),
    (" @.@ ", "."),
    (" @-@ ", "-"),
    ("...", " …"),
]
SNIPPETS = [
    *"abcABC.,!?'\"/#\\&$;\n\t ",
    *["!!!", "aaaa", "very very very ", "so so ", "No no no no.", "very very very, ", "12 12 12", "한글 한글 한글"],
    *["THE END", "WORD!", "The", "A", "I", "Ça", "ÉTÉ", "iPhone", "McDonald", "İİİ", "Σ ΑΣ", "xxmaj"],
    *[
        "<br />",
        "<unk>",
        "&amp;",
        "#39;",
        "nbsp;",
        "&eacute;",
        "&#233;",
        "&#xE9;",
        "&#x110000;",
        "...",
        " @.@ ",
        " @-@ ",
    ],
    *["\\n", "don't", "U.S.", "C++", "x  y", "http://a.b/c#d"],
]


def reference(text: str) -> list[str]:
    for old, new in REPAIRS:
        text = text.replace(old, new)
    text = html.unescape(text)
    text = re.sub(r"(\S)(\1{2,})", lambda found: f" xxrep {len(found[0])} {found[1]} ", text)
    text = re.sub(
        r"(?:\s|^)(\w+)\s+((?:\1\s+)+)\1(\s|\W|$)",
        lambda found: f" xxwrep {len(found[2].split()) + 2} {found[1]} {found[3]}",
        text,
    )
    text = re.sub(r"([/#\\])", r" \1 ", text)
    text = re.sub(" {2,}", " ", text)
    for mark, pattern in (
        ("xxup", r"(\s|^)([A-Z]+[^a-z\s]*)(?=(\s|$))"),
        ("xxmaj", r"(\s|^)([A-Z][^A-Z\s]*)(?=(\s|$))"),
    ):
        text = re.sub(pattern, partial(_with_mark, mark), text)
    return [word.text.replace(" ", "▁") for word in _english()(text.lower().strip())]


def _with_mark(mark: str, found: re.Match[str]) -> str:
    return f"{found[1]}{f'{mark} ' if len(found[2]) > 1 else ''}{found[2].lower()}"


@cache
def _english() -> Any:
    tokenizer: Any = spacy.blank("en").tokenizer
    for mark in MARKS:
        tokenizer.add_special_case(mark, [{"ORTH": mark}])
    return tokenizer


@pytest.fixture(scope="module")
def words() -> FastaiWords:
    return FastaiWords("en")


@pytest.mark.parametrize("seed", range(8))
def test_words_are_those_of_the_rules(words: FastaiWords, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(10):
        text = rng.choice(["", " "]).join(rng.choices(SNIPPETS, k=rng.randint(0, 14)))
        assert [word.text for word in words(text)] == reference(text), repr(text)


def test_words_lead_back_to_the_text(words: FastaiWords) -> None:
    text = " An UNEXPECTED delight!!!! It is very very very good..."
    found = words(text)
    assert [(word.text, text[word.start : word.end]) for word in found if word.start < word.end][:6] == [
        ("an", "An"),
        ("unexpected", "UNEXPECTED"),
        ("delight", "delight"),
        ("4", "!"),
        ("!", "!"),
        ("it", "It"),
    ]
    starts = [word.start for word in found]
    assert starts == sorted(starts)
    assert all(0 <= word.start <= word.end <= len(text) for word in found)


@pytest.mark.parametrize(
    "text",
    [
        "A" * 100_000 + "a",
        "a a " * 30_000,
        "ab ab c " * 10_000,
        "!" * 100_000,
        "!?" * 2_000,
        "&#" + "9" * 100_000 + ";",
        "&" * 100_000,
        " " * 100_000 + "x",
        "aB" * 20_000,
    ],
)
def test_a_hostile_text_takes_linear_time(words: FastaiWords, text: str) -> None:
    assert words(text)
