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
_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:\.[0-9]{3})+")
_BELOW_1000 = re.compile(r"[+-]?[0-9]{1,3}")
_SEPARATORS = re.compile(rf"[{_SPACES}.,]")


class UnreadableNumber(Exception):
    """Field number `index` is no number, or can be read in two ways; `why` ends a sentence about it."""

    def __init__(self, index: int, why: str) -> None:
        super().__init__(why)
        self.index, self.why = index, why


def numbers_of(fields: Sequence[str], *, usual: Mark | None, columns: int = 1) -> list[float]:
    """The numbers of all fields of a file, row by row; NaN for a missing one. `usual` is the decimal mark of files like
    it, for one whose numbers do not tell. Raises UnreadableNumber."""
    stripped = [field.strip().replace("\u2212", "-") for field in fields]
    if all(_PLAIN.fullmatch(field) or field.lower() in MISSING for field in stripped):
        if usual != ".":
            _check_points(stripped, columns)
        return [math.nan if field.lower() in MISSING else float(field) for field in stripped]
    mark = _mark(stripped, usual)
    return [_number(field, mark, index) for index, field in enumerate(stripped)]


def is_number(field: str) -> bool:
    """Whether a field is a number, however it is written."""
    return any(_parsed(field.strip(), mark) is not None for mark in _OTHER)


def _check_points(fields: Sequence[str], columns: int) -> None:
    """Raises UnreadableNumber if points may stand between thousands: every number with a point has groups of three
    digits after it, and in a column all others are below 1000."""
    pointed = [index for index, field in enumerate(fields) if "." in field]
    if not all(_THOUSANDS.fullmatch(fields[index]) for index in pointed):
        return
    for column in sorted({index % columns for index in pointed}):
        others = [field for field in fields[column::columns] if "." not in field and field.lower() not in MISSING]
        if others and all(_BELOW_1000.fullmatch(field) for field in others):
            first = next(index for index in pointed if index % columns == column)
            raise UnreadableNumber(first, "has a point that may stand before decimals or between thousands")


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
