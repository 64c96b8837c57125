"""A source kind: the way from an input to an engine source, and an estimate of its cost."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from app.store.description import SourceName
from app.store.manifest import Manifest
from app.tasks.catalog import Entry
from app.tasks.columns import Column
from app.tasks.job import ReadSource
from app.tasks.options import TaskOptions
from app.tasks.sources.image_decoders import ImageDecoders
from app.tasks.sources.limits import SourceLimits
from app.tasks.states.carrying import NOTHING_CARRIED, Carrying
from app.tasks.states.keys import StateKeys

InputT = TypeVar("InputT")


@dataclass(frozen=True)
class Reader:
    """Limits of sources, processes that decode image files, and the state from which inputs continue."""

    limits: SourceLimits
    decoders: ImageDecoders
    keys: StateKeys | None = None
    carrying: Carrying = NOTHING_CARRIED


class SourceKind(ABC, Generic[InputT]):
    """A kind of source. `kinds` are the names of what it reads, `items` the types of an input. `continues`: the answer
    continues the source, so no token marks its end."""

    kinds: tuple[SourceName, ...]
    items: tuple[type, ...]
    continues: bool = False
    options_in_query: bool = False  # whether the query string may have options, since the body may not be JSON

    @abstractmethod
    def columns(self, manifest: Manifest) -> tuple[Column, ...]:
        """Inputs of a model as arrays: a request has one of these columns."""

    @abstractmethod
    def from_column(
        self, manifest: Manifest, column: Column, values: Sequence[Any], shape: Sequence[int]
    ) -> Sequence[InputT]:
        """Inputs for a model from the values of one of its columns, each of `shape`."""

    @abstractmethod
    def check(self, inputs: Sequence[InputT], limits: SourceLimits, options: TaskOptions) -> None:
        """Check inputs against limits that no model sets. Raises EmptyInput or InputTooLong."""

    def kinds_of(self, item: InputT) -> tuple[SourceName, ...]:
        """The names of what reads an input, which choose the default model."""
        return self.kinds

    def language_of(self, item: InputT) -> str | None:
        """The language of an input, which chooses the default model; None allows any language."""
        return None

    @abstractmethod
    async def read(
        self,
        inputs: Sequence[InputT],
        entries: Sequence[Entry],
        reader: Reader,
        options: TaskOptions,
        *,
        pieces: bool,
        deadline: float | None,
    ) -> list[ReadSource]:
        """The engine source of each input, in order; with `pieces` if the answer shows tokens of the source.

        `deadline` is on the clock of `time.monotonic`. Raises EmptyInput, InputTooLong, InputTooShort, UnknownWord,
        InvalidImage, InvalidSeries, UnsupportedMedia or TimedOut.
        """
