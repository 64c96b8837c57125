"""Strings that a text ends before."""

from collections.abc import Sequence


def first_stop(text: str, stops: Sequence[str]) -> int | None:
    """Where the stop string begins that is the first to be complete, so that it makes no difference in how many pieces
    the text came; None without any."""
    found = [(start + len(stop), start) for stop in stops if (start := text.find(stop)) >= 0]
    return min(found)[1] if found else None


def without_begun_stop(text: str, stops: Sequence[str]) -> str:
    """The text less an end that may be the beginning of a stop string."""
    longest = max(map(len, stops), default=1) - 1
    for length in range(min(longest, len(text)), 0, -1):
        if any(stop.startswith(text[-length:]) for stop in stops):
            return text[:-length]
    return text
