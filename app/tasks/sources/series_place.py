"""The place of a series in a request, which its errors name."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.errors import InvalidSeries, printable
from app.store.manifest import Manifest

_MOST_NAMES = 12  # of columns in an error
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
        count = len(self.features)
        return f"{self.model} reads {count} feature{'' if count == 1 else 's'}: {listed(self.features)}"

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


def listed(names: Sequence[object]) -> str:
    """Names with commas between them; not all, if there are many."""
    shown = ", ".join(printable(str(name), most=_LONGEST_NAME) for name in names[:_MOST_NAMES])
    return f"{shown} and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else shown or "none"
