"""Keys of dictionaries in pickles. A pickle can hold keys that are made so that each is compared with all others."""

from typing import Any

from app.importers.formats.refusals import Refused, TooLarge

_MODULUS = 2**61 - 1  # of the hashes of numbers: smaller ones do not collide
_MOST_COLLISIONS = 100
_MOST_PARTS = 100  # of a tuple that is a key
_MOST_BITS = 4096


class Keys:
    """Puts keys into dictionaries, and counts those of one hash. Hashes of texts cannot be foreseen."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[Any, set[int]]] = {}
        self._collisions = 0

    def put(self, made: dict[Any, Any], key: Any, value: Any) -> None:
        if not isinstance(key, str) and not (type(key) is int and -_MODULUS < key < _MODULUS):
            self._check(made, key)
        made[key] = value

    def pairs(self, pairs: Any) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        for key, value in pairs:
            self.put(made, key, value)
        return made

    def _check(self, made: dict[Any, Any], key: Any) -> None:
        _check_size(key)
        _, hashes = self._seen.setdefault(id(made), (made, set()))
        code = hash(key)
        if code in hashes and key not in made:
            self._collisions += 1
            if self._collisions > _MOST_COLLISIONS:
                raise Refused("its dictionaries have keys that collide on purpose, which takes any amount of time")
        hashes.add(code)


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
