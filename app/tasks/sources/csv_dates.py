"""Dates in a column of a CSV: whether they go back, so that the newest row is first.

ISO 8601 is read, with `/` for `-` as well, and shortened to a month or a year. A date that begins with a day or a month
can be read in two ways, and is not read.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

_SHORT = re.compile(r"([0-9]{4})(?:-([0-9]{1,2}))?(?:-([0-9]{1,2}))?")
_DIGITS = re.compile(r"[0-9]+")


def has_dates(fields: Sequence[str]) -> bool:
    """Whether at least half of the fields that are not empty are dates. Whole numbers are dates if they are years."""
    filled = [field for field in fields if field.strip()]
    return bool(filled) and 2 * sum(_date(field) is not None for field in filled) >= len(filled)


def first_before(fields: Sequence[str]) -> int | None:
    """The first field that is before the date above it. Fields that are no dates are left out, and so are comparisons
    between a date with a time zone and one without."""
    above: datetime | None = None
    for index, field in enumerate(fields):
        date = _date(field)
        if date is None:
            continue
        if above is not None and (date.tzinfo is None) == (above.tzinfo is None) and date < above:
            return index
        above = date
    return None


def _date(field: str) -> datetime | None:
    text = field.strip().replace("/", "-")
    if _DIGITS.fullmatch(text):
        is_year = len(text) == 4 and "1500" <= text < "2500"
        return datetime(int(text), 1, 1) if is_year else None
    with suppress(ValueError):
        return datetime.fromisoformat(text)
    short = _SHORT.fullmatch(text)
    if short is None:
        return None
    with suppress(ValueError):  # month 13
        return datetime(int(short[1]), int(short[2] or 1), int(short[3] or 1))
    return None
