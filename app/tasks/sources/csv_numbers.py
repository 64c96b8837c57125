"""Numbers as spreadsheets write them: with a decimal point or comma, and with separators of thousands.

All numbers of a file are written alike, so one that can be read in a single way decides how the others are read.
"""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Literal

Mark = Literal[".", ","]
MISSING = {"", "na", "n/a", "#n/a", "<na>", "nan", "-nan", "null", "none"}  # in any letter case
_PLAIN = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)
_SPACES = " \u00a0\u2009\u202f'\u2019"  # they separate thousands in some languages
_OTHER: dict[Mark, Mark] = {".": ",", ",": "."}
_NUMBER = {
    mark: re.compile(
        rf"([+-]?)([1-9][0-9]{{0,2}}(?:([{_SPACES}{other}])[0-9]{{3}})(?:\3[0-9]{{3}})*|[0-9]*)"
        rf"(?:{re.escape(mark)}([0-9]*))?((?:[eE][+-]?[0-9]+)?)"
    )
    for mark, other in _OTHER.items()
}  # sign, whole part, its separator, decimals, exponent
_SEPARATORS = re.compile(rf"[{_SPACES}.,]")


class UnreadableNumber(Exception):
    """Field number `index` is no number, or can be read in two ways; `why` ends a sentence about it."""

    def __init__(self, index: int, why: str) -> None:
        super().__init__(why)
        self.index, self.why = index, why


def numbers_of(fields: Sequence[str], *, usual: Mark | None) -> list[float]:
    """The numbers of all fields of a file; NaN for a missing one. `usual` is the decimal mark of files like it, for one
    whose numbers do not tell. Raises UnreadableNumber."""
    stripped = [field.strip().replace("\u2212", "-") for field in fields]
    if all(_PLAIN.fullmatch(field) or field.lower() in MISSING for field in stripped):
        return [math.nan if field.lower() in MISSING else float(field) for field in stripped]
    mark = _mark(stripped, usual)
    return [_number(field, mark, index) for index, field in enumerate(stripped)]


def is_number(field: str) -> bool:
    """Whether a field is a number, however it is written."""
    return any(_parsed(field.strip(), mark) is not None for mark in _OTHER)


def _mark(fields: Iterable[str], usual: Mark | None) -> Mark:
    """The decimal mark of a file."""
    undecided: int | None = None
    for index, field in enumerate(fields):
        mark = _mark_of(field)
        if mark is not None:
            return mark
        if undecided is None and "," in field and is_number(field):
            undecided = index
    if undecided is None:
        return "."
    if usual is None:
        raise UnreadableNumber(undecided, "has a comma that may stand before decimals or between thousands")
    return usual


def _mark_of(field: str) -> Mark | None:
    """The decimal mark, if a number can be read with one alone."""
    if "." not in field and "," not in field:
        return None
    read: list[Mark] = [mark for mark in _OTHER if _parsed(field, mark) is not None]
    return read[0] if len(read) == 1 else None


def _number(field: str, mark: Mark, index: int) -> float:
    number = _parsed(field, mark)
    if number is not None:
        return number
    if field.lower() in MISSING:
        return math.nan
    if _INFINITE.fullmatch(field):
        return math.inf
    if _parsed(field, _OTHER[mark]) is None:
        raise UnreadableNumber(index, "is not a number")
    raise UnreadableNumber(
        index, f"is written in another way than the numbers before, which have '{mark}' for decimals"
    )


def _parsed(field: str, mark: Mark) -> float | None:
    """A number with this decimal mark, and perhaps with separated thousands."""
    found = _NUMBER[mark].fullmatch(field)
    if found is None or not (found[2] or found[4]):
        return None
    return float(f"{found[1]}{_SEPARATORS.sub('', found[2])}.{found[4] or '0'}{found[5]}")
