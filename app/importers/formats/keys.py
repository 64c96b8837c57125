"""Keys of dictionaries in pickles. A pickle can hold keys that are made so that each is compared with all others."""

from collections.abc import Iterable
from typing import Any

from app.importers.formats.refusals import Refused, TooLarge

_MODULUS = 2**61 - 1  # of the hashes of numbers: smaller ones have different hashes
_MOST_COLLISIONS = 100
_MOST_PARTS = 100  # of a tuple that is a key
_MOST_BITS = 4096
_FREE_NUMBERS = 10_000  # of one dictionary: comparing each with all others takes a second
_WIDEST = 10_000_000  # from the lowest to the highest of more numbers: three times the most values of a file
_COLLIDE = "its dictionaries have keys that collide on purpose, which takes any amount of time"


class Keys:
    """Puts keys into dictionaries, and counts those that collide. Hashes of texts cannot be foreseen."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[Any, set[int]]] = {}
        self._numbers: dict[int, _Numbers] = {}
        self._collisions = 0

    def put(self, made: dict[Any, Any], key: Any, value: Any) -> None:
        if isinstance(key, int | float):
            self._count(made, key)
        if not isinstance(key, str) and not (type(key) is int and -_MODULUS < key < _MODULUS):
            self._check(made, key)
        made[key] = value

    def pairs(self, pairs: Any) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        for key, value in pairs:
            self.put(made, key, value)
        return made

    def _count(self, made: dict[Any, Any], key: float) -> None:
        """Numbers of different hashes may share a chain of places in the table, if they are far apart."""
        found = self._numbers.get(id(made))
        if found is None:
            found = self._numbers[id(made)] = _Numbers(made, key)
        found.add(key)

    def _check(self, made: dict[Any, Any], key: Any) -> None:
        _check_size(key)
        _, hashes = self._seen.setdefault(id(made), (made, set()))
        code = hash(key)
        if code in hashes and key not in made:
            self._collisions += 1
            if self._collisions > _MOST_COLLISIONS:
                raise Refused(_COLLIDE)
        hashes.add(code)


class _Numbers:
    """How many numbers were put into a dictionary, and the lowest and the highest. It holds the dictionary, so that no
    other gets its id."""

    __slots__ = ("count", "high", "low", "made")

    def __init__(self, made: dict[Any, Any], key: float) -> None:
        self.made, self.count, self.low, self.high = made, 0, key, key

    def add(self, key: float) -> None:
        self.count += 1
        if key < self.low:
            self.low = key
        elif key > self.high:
            self.high = key
        repeated = self.count - len(self.made)
        if self.count > _FREE_NUMBERS and (repeated > _MOST_COLLISIONS or not self.high - self.low < _WIDEST):
            raise Refused(_COLLIDE)


def in_short_time(pairs: Iterable[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """The items of a dictionary in an order in which another can be made of them in short time.

    A table of Python has one and a half places for each key. If the lowest keys lie as close at any number of them,
    each has a place of its own. So more than 10,000 numbers must, and come first, in increasing order. Raises Refused.
    """
    items = list(pairs)
    numbers = [item for item in items if isinstance(item[0], int | float)]
    if len(numbers) <= _FREE_NUMBERS:
        return items
    if any(type(key) is not int for key, _ in numbers):
        raise Refused("one of its dictionaries has more than 10,000 keys that are no whole numbers")
    numbers.sort(key=lambda item: item[0])
    lowest = numbers[0][0]
    if any(key - lowest >= count + count // 2 + _FREE_NUMBERS for count, (key, _) in enumerate(numbers)):
        raise Refused(
            f"one of its dictionaries has more than {_FREE_NUMBERS:,} numbers as keys, with large gaps between"
        )
    return numbers + [item for item in items if not isinstance(item[0], int | float)]


def _check_size(key: Any) -> None:
    """The hash of a number of a million digits, or of a tuple of tuples, takes long each time."""
    parts, left = [key], _MOST_PARTS
    while parts:
        part = parts.pop()
        left -= 1
        if isinstance(part, tuple):
            parts += part[: left + 1]
        if left < 0 or (isinstance(part, int) and part.bit_length() > _MOST_BITS):
            raise TooLarge("a key of its dictionaries is too large")
