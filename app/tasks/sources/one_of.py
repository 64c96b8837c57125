"""A source of one of several kinds: that which the model reads."""

from collections.abc import Sequence
from typing import Any

from app.store.description import SourceName
from app.store.manifest import Manifest
from app.tasks.catalog import Entry
from app.tasks.columns import Column
from app.tasks.job import ReadSource
from app.tasks.options import TaskOptions
from app.tasks.sources.limits import SourceLimits
from app.tasks.sources.source_kind import Reader, SourceKind


class OneOf(SourceKind[Any]):
    """One of the kinds `parts`. All inputs of a request have the same kind, which the type of an input tells."""

    def __init__(self, *parts: SourceKind[Any]) -> None:
        self.parts = parts
        self.kinds = tuple(kind for part in parts for kind in part.kinds)
        self.items = tuple(item for part in parts for item in part.items)
        self.options_in_query = any(part.options_in_query for part in parts)

    def columns(self, manifest: Manifest) -> tuple[Column, ...]:
        """See `SourceKind.columns`."""
        return self._part_for(manifest).columns(manifest)

    def from_column(
        self, manifest: Manifest, column: Column, values: Sequence[Any], shape: Sequence[int]
    ) -> Sequence[Any]:
        """See `SourceKind.from_column`."""
        return self._part_for(manifest).from_column(manifest, column, values, shape)

    def check(self, inputs: Sequence[Any], limits: SourceLimits, options: TaskOptions) -> None:
        """See `SourceKind.check`."""
        self._part_of(inputs[0]).check(inputs, limits, options)

    def kinds_of(self, item: Any) -> tuple[SourceName, ...]:
        """See `SourceKind.kinds_of`."""
        return self._part_of(item).kinds

    def language_of(self, item: Any) -> str | None:
        """See `SourceKind.language_of`."""
        return self._part_of(item).language_of(item)

    async def read(
        self,
        inputs: Sequence[Any],
        entries: Sequence[Entry],
        reader: Reader,
        options: TaskOptions,
        *,
        pieces: bool,
        deadline: float | None,
    ) -> list[ReadSource]:
        """See `SourceKind.read`."""
        part = self._part_of(inputs[0])
        return await part.read(inputs, entries, reader, options, pieces=pieces, deadline=deadline)

    def _part_for(self, manifest: Manifest) -> SourceKind[Any]:
        return next(part for part in self.parts if manifest.source in part.kinds)

    def _part_of(self, item: Any) -> SourceKind[Any]:
        return next(part for part in self.parts if isinstance(item, part.items))
