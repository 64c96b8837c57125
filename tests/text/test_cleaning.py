"""Texts are cleaned as Python code cleans them."""

import random
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import pytest

from app.errors import InputTooLong, InvalidManifest
from app.store.text_input import CleaningStep, Replacement, TokenizerUse
from app.text.cleaning import Cleaning
from app.text.tokenizer import TextTokenizer
from app.text.word_tokenizers import build

TEXTS = [
    "",
    "A <b>GOOD</b> film!<br /><br />Isn't it?  See http://x.org/a?b=c ...",
    "İstanbul, ÉTÉ à Σ; ΟΔΟΣ",
    "यह फ़िल्म बहुत अच्छी है! हिन्दी, 100%",
    "정말 재미있게 봤어요!! ㅋㅋㅋ",
    "x a y",
]


def replacement(pattern: str, by: str = "") -> Replacement:
    return Replacement(pattern=pattern, by=by)


@pytest.mark.parametrize(
    ("pattern", "by"),
    [
        (r"<[^>]+>", " "),
        (r"([?.!,])", r" \1 "),
        (r"(\w)(\w)", r"\2\g<1>"),
        (r"(?P<word>\w+)'t", r"\g<word> not"),
        (r"[^\w\s]", ""),  # deletes the vowel signs of Devanagari, as the code of the model did
        (r"[^a-zA-Z]", " "),
        (r"\s+[a-zA-Z]\s+", " "),
        (r"\s+", " "),
        (r"(a)|(b)", r"[\1\2]\n\\"),
        (r"https?://\S+", "<url>"),
    ],
)
def test_a_replacement_is_that_of_re(pattern: str, by: str) -> None:
    for text in TEXTS:
        assert Cleaning([replacement(pattern, by)])(text)[0] == re.sub(pattern, by, text)


def test_lower_case_and_accents() -> None:
    for text in TEXTS:
        assert Cleaning(["lower"])(text)[0] == text.lower()
        assert Cleaning(["lower_ascii"])(text)[0] == re.sub("[A-Z]", lambda found: found[0].lower(), text)
        decomposed = unicodedata.normalize("NFD", text)
        stripped = "".join(letter for letter in decomposed if unicodedata.category(letter) != "Mn")
        assert Cleaning(["without_accents"])(text)[0] == stripped


@pytest.mark.parametrize("seed", range(20))
def test_characters_lead_back_to_the_text(seed: int) -> None:
    rng = random.Random(seed)
    steps: list[CleaningStep] = [
        replacement(r"<[^>]+>", " "),
        "lower",
        replacement(r"([?.!,])", r" \1 "),
        "without_accents",
        replacement(r"[^a-z?.!, ]", ""),
        replacement(r"\s+", " "),
    ]
    chosen: Sequence[CleaningStep] = rng.sample(steps, k=rng.randint(0, 6))
    for text in TEXTS:
        cleaned, places = Cleaning(chosen)(text)
        assert len(places) == len(cleaned)
        assert list(places) == sorted(places)
        assert all(0 <= place < len(text) for place in places)
        for letter, place in zip(cleaned, places, strict=True):
            if letter in "abcdefgh?.!,":
                assert letter in unicodedata.normalize("NFD", text[place]).lower()


def test_words_of_a_cleaned_text_have_their_places(tmp_path: Path) -> None:
    build("spaces", ["good", "film", ".", "isnt"], unk=None).save(str(tmp_path / "tokenizer.json"))
    cleaning = (replacement("<br />", " "), "lower", replacement("'"), replacement(r"([.])", r" \1 "))
    tokenizer = TextTokenizer(tmp_path, TokenizerUse(cleaning=cleaning, unknown="skip"))
    text = "Good<br />FILM. Isn't bad"
    assert tokenizer.encode(text) == [0, 1, 2, 3]
    pieces = tokenizer.pieces(text)
    assert [text[piece.start : piece.end] for piece in pieces] == ["Good", "FILM", ".", "Isn't"]
    _, words = tokenizer.encode_words(text)
    assert [word.text for word in words if word] == ["Good", "FILM", ".", "Isn't"]


@pytest.mark.parametrize(
    ("pattern", "by", "reason"),
    [
        ("(", "", "not a regular expression"),
        ("a*", "", "empty text"),
        ("a", r"\1", "refers to group 1"),
        ("(a)", r"\g<name>", "refers to group name"),
        ("a", r"\q", "unknown escape"),
    ],
)
def test_a_replacement_that_cannot_be_made_is_refused(tmp_path: Path, pattern: str, by: str, reason: str) -> None:
    build("spaces", ["a"], unk=None).save(str(tmp_path / "tokenizer.json"))
    use = TokenizerUse(cleaning=(replacement(pattern, by),), unknown="skip")
    with pytest.raises(InvalidManifest, match=reason):
        TextTokenizer(tmp_path, use)


def test_a_text_does_not_grow_without_limit() -> None:
    growing = Cleaning([replacement("[a-z]", "a" * 100)] * 10)
    with pytest.raises(InputTooLong, match="after cleaning; the limit is"):
        growing("a" * 1000)


def test_growth_is_measured_while_a_replacement_is_made() -> None:
    """49 times as many characters are not made before they are counted."""
    with pytest.raises(
        InputTooLong, match=r"the text has at least 1700\d\d characters after cleaning; the limit is 170000"
    ):
        Cleaning([replacement("(.)", r"\1" * 49)])("b" * 20_000)


@pytest.mark.parametrize("text", ["<" * 100_000, "é" * 100_000, " " * 100_000 + "x", "Σ'" * 50_000])
def test_a_hostile_text_is_cleaned(text: str) -> None:
    steps: list[CleaningStep] = [
        replacement(r"<[^>]+>", " "),
        "lower",
        replacement(r"\s+[a-z]\s+", " "),
        "without_accents",
    ]
    assert Cleaning(steps)(text)


def test_patterns_that_take_long_together_are_refused() -> None:
    step = replacement(r"(?:a{0,30}b)+c")
    assert not Cleaning([step]).is_quick
    assert Cleaning([replacement(r"[^a-z]")] * 64).is_quick
    with pytest.raises(InvalidManifest, match="steps for a character; the limit is 400"):
        Cleaning([step] * 16)
