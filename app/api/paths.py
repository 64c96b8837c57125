"""Which of several paths a request is to: looked up before any routing, so in little time."""

from collections.abc import Mapping
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Found(NamedTuple, Generic[T]):
    """The path as it was written, such as `/hf/translation/{model}`, what belongs to it, and its variable part."""

    path: str
    value: T
    parameters: dict[str, str]


class Paths(Generic[T]):
    """What belongs to paths. The last part of one may be a variable in braces, which is any one part."""

    def __init__(self, values: Mapping[str, T]) -> None:
        self._plain = {path: Found(path, value, {}) for path, value in values.items() if "{" not in path}
        self._variable = []
        for path in values.keys() - self._plain:
            begin, _, name = path.removesuffix("}").partition("{")
            self._variable.append((begin, name, path))
        self._values = values

    def find(self, path: str) -> Found[T] | None:
        """What belongs to the path of a request, if anything does."""
        if found := self._plain.get(path):
            return found
        for begin, name, written in self._variable:
            part = path.removeprefix(begin)
            if part and part != path and "/" not in part:
                return Found(written, self._values[written], {name: part})
        return None
