"""Which of several paths a request is to: looked up before any routing, so in little time."""

from collections.abc import Mapping
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Found(NamedTuple, Generic[T]):
    """The path as it was written, such as `/hf/translation/{model}`, what belongs to it, and its variable parts."""

    path: str
    value: T
    parameters: dict[str, str]


class Paths(Generic[T]):
    """What belongs to paths. A part of one may be a variable in braces, which is any one part; after a last part `**`
    anything may stand."""

    def __init__(self, values: Mapping[str, T]) -> None:
        self._plain: dict[str, Found[T]] = {}
        self._variable: dict[tuple[str, int], list[tuple[list[str], Found[T]]]] = {}  # by first part and parts
        self._below: dict[str, Found[T]] = {}
        for path, value in values.items():
            found = Found(path, value, {})
            if path.endswith("/**"):
                self._below[path.removesuffix("**")] = found
            elif "{" in path:
                parts = path.split("/")
                self._variable.setdefault((parts[1], len(parts)), []).append((parts, found))
            else:
                self._plain[path] = found

    def find(self, path: str) -> Found[T] | None:
        """What belongs to the path of a request, if anything does."""
        if found := self._plain.get(path):
            return found
        if self._variable:
            given = path.split("/")
            for parts, found in self._variable.get((given[1] if len(given) > 1 else "", len(given)), ()):
                variables = _matched(parts, given)
                if variables is not None:
                    return found._replace(parameters=variables)
        return next((found for begin, found in self._below.items() if path.startswith(begin)), None)


def _matched(parts: list[str], given: list[str]) -> dict[str, str] | None:
    """The variables, if all parts fit."""
    variables = {}
    for part, there in zip(parts, given, strict=True):
        if part.startswith("{") and there:
            variables[part[1:-1]] = there
        elif part != there:
            return None
    return variables
