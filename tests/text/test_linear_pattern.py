"""Patterns that take linear time find what `re` finds."""

import random
import re

import pytest

from app.text.linear_pattern import LinearPattern

PATTERNS = [
    r"<[^>]+>",
    r"<.*?>",
    r"<br\s*/?>",
    r"(?s)<!--.*?-->",
    r"\s+[a-zA-Z]\s+",
    r"\s+$",
    r"^\s+|\s+$",
    r"https?://\S+|www\.\S+",
    r"[^a-zA-Z]",
    r"[^\w\s]+",
    r"([?.!,¿])",
    r"(@[A-Za-z0-9]+)|([^0-9A-Za-z \t])|(\w+:\/\/\S+)",
    r"(a|ab)(c|bcd)(d*)",
    r"(?:a|b)*?c",
    r"(?i)[a-f]+x",
    r"(?i:A)b|c(?-i:D)",
    r"\b\w\b",
    r"\Bb",
    r"(?<=a)b+(?!c)",
    r"(?<!a)b",
    r"a(?=b|c)",
    r"(\s|^)([A-Z]+[^a-z\s]*)(?=(\s|$))",
    r"a{2,5}b?",
    r"(?:ab){1,3}?c",
    r"(a{1,3})b|a",
    r"x*y",
    r"(?P<quote>'|\")(\w+)['\"]",
    r"&([a-z0-9]+|#[0-9]{1,6}|#x[0-9a-fA-F]{1,6});",
    r"(ab?)+c",
    r"a.*?b|a",
    r"(?m)^>.*$",
    r"n't|(\w+)'s\b",
    "(?x) a  # a letter\n b",
]
LETTERS = "abcdxyAD <>/&#;1?!.,'\"@:-\n\té한ि"


@pytest.mark.parametrize("pattern", PATTERNS)
def test_what_it_finds_is_what_re_finds(pattern: str) -> None:
    rng, linear = random.Random(0), LinearPattern(pattern)
    for _ in range(300):
        letters = rng.choice([LETTERS, "ab c<>\n", "abc"])
        text = "".join(rng.choices(letters, k=rng.randint(0, 25)))
        expected = [
            (*found.span(), (found[0], *(group or "" for group in found.groups())))
            for found in re.finditer(pattern, text)
        ]
        assert [tuple(match) for match in linear.matches(text)] == expected, text


def test_patterns_made_by_chance() -> None:
    rng = random.Random(1)
    for _ in range(300):
        pattern = _pattern(rng, depth=3)
        try:
            linear = LinearPattern(pattern)
        except ValueError:
            continue
        for _ in range(10):
            text = "".join(rng.choices("abc ", k=rng.randint(0, 10)))
            spans = [(match.start, match.end) for match in linear.matches(text)]
            assert spans == [found.span() for found in re.finditer(pattern, text)], (pattern, text)


def _pattern(rng: random.Random, *, depth: int) -> str:
    if depth == 0 or rng.random() < 0.3:
        return rng.choice(["a", "b", "[ab]", "[^a]", ".", r"\s", r"\b", "ab", "(?=b)", "(?<!a)"])
    parts = [_pattern(rng, depth=depth - 1) for _ in range(rng.randint(1, 3))]
    if rng.random() < 0.3:
        return f"(?:{'|'.join(parts)})"
    return "".join(parts) if rng.random() < 0.5 else f"(?:{''.join(parts)}){rng.choice(['+', '*', '?', '{1,3}', '+?'])}"


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"<[^>]+>", "<" * 50_000),
        (r"<.*?>", "<a" * 25_000),
        (r"\s+[a-z]\s+", " " * 50_000 + "."),
        (r"(\w+)://\S+", "a" * 50_000),
        (r"(?:a+)+$", "a" * 50_000 + "!"),
        (r"(?:a|a)+b", "a" * 50_000),
        (r"[^a-z]+", "!" * 50_000),
    ],
)
def test_a_hostile_text_takes_linear_time(pattern: str, text: str) -> None:
    """`re` needs minutes or forever for most of these."""
    assert len(list(LinearPattern(pattern).matches(text))) <= 1


def test_parts_that_are_tried_again_at_each_match() -> None:
    assert len(list(LinearPattern("a.*?b|a").matches("a" * 20_000))) == 20_000


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        (r"(a)\1", "quadratic time"),
        (r"a*", "may match an empty text"),
        (r"\b", "may match an empty text"),
        (r"a(?=.*x)", "looks ahead without a limit"),
        (r"(?=(?:aa?){1,30}b)a", "looks ahead without a limit"),
        (r"(?=a{9})a", "looks ahead without a limit"),
        (r"(?=a?a?a?a?)a", "looks ahead without a limit"),
        (r"(?=a(?!b))a", "looks ahead without a limit"),
        (r"(a*)*b", "may match nothing"),
        (r"(?:x|y?)*z", "may match nothing"),
        (r"(?:ab){1000}", "more than 64 times"),
        (r"(?:(?:a|b){60}x){60}", "too large"),
        (r"(a)?(?(1)b|c)", "quadratic time"),
        ("(", "not a regular expression"),
        ("a**", "not a regular expression"),
        ("(" * 5000, "not a regular expression"),
    ],
)
def test_a_pattern_that_cannot_be_followed_is_refused(pattern: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        LinearPattern(pattern)
