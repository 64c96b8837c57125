"""Cleans a text before it is split into words, as the training code of an imported model does."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence

from app.errors import InputTooLong, InvalidManifest
from app.store.text_input import CleaningStep, Replacement
from app.text.linear_pattern import LinearPattern, Match
from app.text.words import in_lower_case

Placed = tuple[str, Sequence[int]]  # a text, and for each of its characters the index of the original one

_REFERENCE = re.compile(r"\\(?:g<(\w+)>|([1-9]\d?)|(.))", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "\\": "\\"}
_MOST_GROWTH = 8  # times the length of a text
_FREE_GROWTH = 10_000  # characters
_MOST_COST = 400  # steps for a character: a tenth of a millisecond
_ASCII_LOWER = {ord(letter): ord(letter.lower()) for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


class Cleaning:
    """The steps of `TokenizerUse.cleaning`. Raises InvalidManifest for a replacement that cannot be made."""

    def __init__(self, steps: Sequence[CleaningStep]) -> None:
        self._steps = [_step(step) for step in steps]
        cost = sum(step.cost for step in self._steps if isinstance(step, _Replacing))
        if cost > _MOST_COST:
            raise InvalidManifest(
                f"tokenizer.cleaning: its patterns take {cost} steps for a character; the limit is {_MOST_COST}: use "
                "fewer patterns that `re` would match in quadratic time, and shorter ones"
            )
        self.is_quick = cost == 0
        """Whether a text of a few thousand characters takes less than a few milliseconds."""

    def __call__(self, text: str) -> Placed:
        """The cleaned text, and for each of its characters the index of the original one. Raises InputTooLong if it
        grows beyond measure."""
        most = _MOST_GROWTH * len(text) + _FREE_GROWTH
        places: Sequence[int] = range(len(text))
        for step in self._steps:
            text, moved = step.within(text, most) if isinstance(step, _Replacing) else step(text)
            places = followed(places, moved)
            _check_growth(len(text), most)
        return text, places


def _check_growth(characters: int, most: int) -> None:
    if characters > most:
        raise InputTooLong(
            f"the text has at least {characters} characters after cleaning; the limit is {most} for the rules",
            limit=most,
        )


def followed(places: Sequence[int], moved: Sequence[int]) -> Sequence[int]:
    """The places of characters that were moved twice. A range says that none was moved."""
    if isinstance(moved, range):
        return places
    return moved if isinstance(places, range) else [places[place] for place in moved]


def _step(step: CleaningStep) -> Callable[[str], Placed]:
    if isinstance(step, Replacement):
        return _Replacing(step)
    return {"lower": in_lower_case, "lower_ascii": _in_ascii_lower_case, "without_accents": _without_accents}[step]


def _in_ascii_lower_case(text: str) -> Placed:
    return text.translate(_ASCII_LOWER), range(len(text))


def _without_accents(text: str) -> Placed:
    """The decomposed text (NFD) without marks (Mn)."""
    if text.isascii():
        return text, range(len(text))
    known = {letter: _without_marks(letter) for letter in set(text)}
    letters = [known[letter] for letter in text]
    places = [place for place, letter in enumerate(letters) for _ in letter]
    return "".join(letters), places


def _without_marks(letter: str) -> str:
    return "".join(part for part in unicodedata.normalize("NFD", letter) if unicodedata.category(part) != "Mn")


def replaced(text: str, changes: Iterable[tuple[int, int, str]]) -> Placed:
    """The text with changes in increasing order: start, end, and the new text, whose characters are at the start."""
    parts: list[str] = []
    places: list[int] = []
    end = 0
    for start, stop, by in changes:
        parts += (text[end:start], by)
        places += range(end, start)
        places += [start] * len(by)
        end = stop
    if not parts:
        return text, range(len(text))
    parts.append(text[end:])
    places += range(end, len(text))
    return "".join(parts), places


class _Replacing:
    """A replacement."""

    def __init__(self, replacement: Replacement) -> None:
        try:
            self._pattern = LinearPattern(replacement.pattern)
            self._parts = _parts(replacement.by, self._pattern)
        except ValueError as error:
            raise InvalidManifest(f"tokenizer.cleaning: {error}") from error
        self.cost = self._pattern.cost

    def __call__(self, text: str) -> Placed:
        return replaced(text, self._changes(text))

    def within(self, text: str, most: int) -> Placed:
        """The same. Raises InputTooLong as soon as the text would have more than `most` characters."""
        return replaced(text, _counted(self._changes(text), len(text), most))

    def _changes(self, text: str) -> Iterator[tuple[int, int, str]]:
        return ((match.start, match.end, self._new_text(match)) for match in self._pattern.matches(text))

    def _new_text(self, match: Match) -> str:
        return "".join(part if isinstance(part, str) else match.groups[part] for part in self._parts)


def _counted(changes: Iterable[tuple[int, int, str]], characters: int, most: int) -> Iterator[tuple[int, int, str]]:
    """The changes of a text with this number of characters, while it stays within `most`."""
    for change in changes:
        start, end, by = change
        characters += len(by) - (end - start)
        _check_growth(characters, most)
        yield change


def _parts(by: str, pattern: LinearPattern) -> list[str | int]:
    """Texts and numbers of groups. Raises ValueError."""
    parts: list[str | int] = []
    end = 0
    for found in _REFERENCE.finditer(by):
        parts.append(by[end : found.start()])
        end = found.end()
        name, number, escape = found.groups()
        if escape is not None:
            if escape not in _ESCAPES:
                raise ValueError(f"{by!r} has an unknown escape \\{escape}")
            parts.append(_ESCAPES[escape])
            continue
        group = pattern.group_names.get(name, name) if name else number
        if not str(group).isdecimal() or int(group) > pattern.group_count:
            raise ValueError(f"{by!r} refers to group {group}, which the pattern does not have")
        parts.append(int(group))
    return [*parts, by[end:]]
