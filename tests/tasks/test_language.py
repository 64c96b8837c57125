"""The language of a text by its script."""

import unicodedata

import pytest

from app.tasks.sources.language import language_of


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("a good film", "en"),
        ("정말 재미있게 봤어요", "ko"),
        ("naïve café über", "en"),
        ("ｆｕｌｌｗｉｄｔｈ", "en"),
        ("𝐛𝐨𝐥𝐝 𝑖𝑡𝑎𝑙𝑖𝑐", "en"),
        ("ﾡﾢﾣ", "ko"),
        ("ㅋㅋㅋ", "ko"),
        ("очень хороший фильм", "cyrillic"),
        ("とても", "hiragana"),
        ("ｶﾀｶﾅ", "katakana"),
        ("电影", "cjk"),
        ("فيلم رائع", "arabic"),
        ("", None),
        ("12 :) !! 🎬", None),
    ],
)
def test_script_tells_the_language(text: str, language: str | None) -> None:
    assert language_of(text) == language


def test_the_script_with_most_letters_wins() -> None:
    assert language_of("ok 최고의 영화") == "ko"
    assert language_of("the film 기생충 is a masterpiece") == "en"
    assert language_of("the word хорошо means good") == "en"


def test_decomposed_letters_count_as_composed_ones() -> None:
    """As macOS writes file names (NFD): a syllable of Hangul as two or three letters, an accent beside its letter."""
    for text in ("the new film 기생충 again", "영화 parasite", "àéîõü 한"):
        assert unicodedata.normalize("NFD", text) != text
        assert language_of(unicodedata.normalize("NFD", text)) == language_of(text)


def test_any_character_is_taken() -> None:
    for character in ("\x00", "\ud800", "\U0010ffff", "\u200b", "ﷺ", "\ue000"):
        language_of(character * 50)


def test_only_the_beginning_of_a_long_text_is_looked_at() -> None:
    assert language_of("a" * 2_000 + "가" * 100_000) == "en"
