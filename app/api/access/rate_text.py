"""Rates as texts, such as `10/second;1000/hour`."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from limits import RateLimitItem

_MOST = 100_000  # requests in a window: each is stored until it leaves the window


def check_rate(text: str) -> str:
    """The text, if it is empty or a rate, such as `10/second;1000/hour`. Raises ValueError."""
    if text and not all(0 < item.amount <= _MOST and item.get_expiry() > 0 for item in rates_in(text)):
        raise ValueError(f"a rate allows 1 to {_MOST} requests in a period, such as 10/second;1000/hour")
    return text


def rates_in(text: str) -> "list[RateLimitItem]":
    """The rates of a text. Raises ValueError."""
    from limits import parse_many  # imports clients of every storage, which the help of a command does not wait for

    try:
        return parse_many(text)
    except ValueError:
        raise ValueError("write a rate like 10/second;1000/hour") from None
