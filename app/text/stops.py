"""Stop strings: a decoded text ends before the first of them."""

from collections.abc import Sequence


def first_stop(text: str, stops: Sequence[str]) -> int | None:
    """The start of the stop string that is complete first; None if the text contains none. Comparing ends, not starts,
    gives the same result however the text was streamed."""
    matches = [(start + len(stop), start) for stop in stops if (start := text.find(stop)) >= 0]
    return min(matches)[1] if matches else None


def without_partial_stop(text: str, stops: Sequence[str]) -> str:
    """The text without a suffix that may be the beginning of a stop string."""
    longest = max(map(len, stops), default=1) - 1
    for length in range(min(longest, len(text)), 0, -1):
        if any(stop.startswith(text[-length:]) for stop in stops):
            return text[:-length]
    return text
