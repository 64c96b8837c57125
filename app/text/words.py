"""Word splitters for vocabularies that a tokenizer file cannot split: one file for each optional package."""

from collections.abc import Callable, Sequence

from app.errors import MissingExtra
from app.text.word import Word

_EXTRAS = {"fastai": "spacy"}  # by name of the splitter, where they differ
Cut = Callable[[str], list[Word]]


def cutter(split: str, *, lower: bool) -> Cut | None:
    """The function that splits texts into words; None if the tokenizer file does it (see `TokenizerUse.split`). Raises
    MissingExtra."""
    package, _, language = split.partition(":")
    try:
        if package == "spacy":
            from app.text.spacy_words import SpacyWords

            return SpacyWords(language, lower=lower)
        if package == "fastai":
            from app.text.fastai_words import FastaiWords

            return FastaiWords(language or "en")
        if package == "nltk":
            from app.text.nltk_words import nltk_words

            return _lowered(nltk_words) if lower else nltk_words
    except ImportError as error:
        raise MissingExtra(
            f"tokenizer.split is {split}, which is not installed ({error}): pip install "
            f"'unroll-serve[{_EXTRAS.get(package, package)}]'"
        ) from error
    return None


def in_lower_case(text: str) -> tuple[str, Sequence[int]]:
    """The text in lower case, and for each of its characters the index of the original character."""
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered, range(len(text))
    return lowered, [place for place, letter in enumerate(text) for _ in letter.lower()]  # "İ" becomes two characters


def origin(start: int, end: int, places: Sequence[int]) -> tuple[int, int]:
    """The range in the original text of a range in its lower-case text."""
    last = places[end - 1] + 1 if end else 0
    return (places[start], last) if start < end else (last, last)


def _lowered(cut: Cut) -> Cut:
    def cut_lowered(text: str) -> list[Word]:
        lowered, places = in_lower_case(text)
        return [Word(word, *origin(start, end, places)) for word, start, end in cut(lowered)]

    return cut_lowered
