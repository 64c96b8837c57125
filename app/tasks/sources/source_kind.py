"""A source kind: how an input becomes an engine's source, and its cost before it is read."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.store.manifest import SourceName
from app.tasks.catalog import Entry
from app.tasks.job import ReadSource
from app.tasks.sources.limits import SourceLimits

InputT = TypeVar("InputT")


@dataclass(frozen=True)
class Reader:
    """What reading a source needs beside the input: limits, and the threads that decode image files."""

    limits: SourceLimits
    pool: Executor


class SourceKind(ABC, Generic[InputT]):
    """A kind of source. `continues`: the answer continues the source, so nothing marks the source's end."""

    kind: SourceName
    continues: bool = False
    options_in_query: bool = False  # whether options may stand in the query string, beside a body that is no JSON

    @abstractmethod
    def guessed_steps(self, length: int | None) -> float:
        """Cell steps that a request is guessed to take, by the length of its body in bytes if that is known."""

    @abstractmethod
    def check(self, inputs: Sequence[InputT], limits: SourceLimits) -> None:
        """Raises EmptyInput or InputTooLong for what is refused whichever model answers."""

    def language_of(self, item: InputT) -> str | None:
        """The language of an input, which chooses the default model; None leaves any language."""
        return None

    @abstractmethod
    async def read(
        self,
        inputs: Sequence[InputT],
        entries: Sequence[Entry],
        reader: Reader,
        *,
        pieces: bool,
        deadline: float | None,
    ) -> list[ReadSource]:
        """Each input as the source of its model, in order; with `pieces` where an answer shows tokens of the source.

        `deadline` is on the clock of `time.monotonic`. Raises EmptyInput, InputTooLong, UnknownWord, InvalidImage,
        UnsupportedMedia or TimedOut.
        """
