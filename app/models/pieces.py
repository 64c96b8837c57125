"""Long computations in pieces: generators that yield after each, so that the engine can run other requests between."""

from collections.abc import Generator
from typing import TypeVar

Result = TypeVar("Result")
InPieces = Generator[None, None, Result]


def at_once(pieces: InPieces[Result]) -> Result:
    """The result of all pieces, one after the other."""
    while True:
        try:
            next(pieces)
        except StopIteration as complete:
            result: Result = complete.value
            return result
