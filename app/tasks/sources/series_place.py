"""The place of a series in a request, which its errors name."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice

from app.errors import InvalidSeries, counted, printable
from app.store.manifest import Manifest

_MOST_NAMES = 12  # of columns in an error
_LONGEST = 40  # characters of a value in an error
_LONGEST_NAME = 60  # characters


@dataclass(frozen=True)
class SeriesPlace:
    """Input `index` of a request, called `name`, for `model`, which reads `features`."""

    index: int
    name: str
    model: str
    features: tuple[str, ...]

    @classmethod
    def of(cls, index: int, manifest: Manifest, *, is_csv: bool = False) -> "SeriesPlace":
        """The place of an input for a model over series."""
        assert manifest.series is not None  # see `Manifest`
        features = tuple(feature.name for feature in manifest.series.features)
        return cls(index, "the CSV" if is_csv else f"inputs[{index}]", manifest.name, features)

    @property
    def reads(self) -> str:
        """The model and its features in words."""
        return f"{self.model} reads {counted(len(self.features), 'feature')}: {listed(self.features)}"

    def refused(
        self, what: str, *, row: int | None = None, column: str | None = None, line: int | None = None
    ) -> InvalidSeries:
        """The error of a row or column, counted from 0, or of a line of a CSV, counted from 1."""
        where = [self.name]
        if line is not None:
            where.append(f"line {line}")
        elif row is not None:
            where.append(f"row {row}")
        if column is not None:
            where.append(f"column {printable(column, most=_LONGEST_NAME)}")
        facts = {"row": row, "column": column}
        given = {name: value for name, value in facts.items() if value is not None}
        return InvalidSeries(f"{', '.join(where)}: {what}", input=self.index, **given)


def shown(value: object) -> str:
    """A value of a request in JSON, cut if it is long."""
    try:
        beginning = value[: _LONGEST + 1] if isinstance(value, list | str) else value  # the rest is not shown
        return printable(json.dumps(beginning, ensure_ascii=False), most=_LONGEST)
    except RecursionError:
        return "a deep list"


def listed(names: Collection[object]) -> str:
    """Names with commas between them; not all, if there are many."""
    shown = ", ".join(printable(str(name), most=_LONGEST_NAME) for name in islice(names, _MOST_NAMES))
    return f"{shown} and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else shown or "none"
