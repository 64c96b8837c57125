"""Series as a caller gives them: numbers, rows, columns, arrays, tables, or CSV files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from unroll_client.bodies import CsvInput, JsonInput
from unroll_client.files import File, file_bytes

Number = float | None


@dataclass(frozen=True)
class Csv:
    """A series in a CSV with a header row: its path, its bytes, or a file opened in mode `rb`."""

    file: File


class Array(Protocol):
    """An array of numpy, a tensor of PyTorch, or a column of pandas."""

    def tolist(self) -> Any: ...


class Table(Protocol):
    """A DataFrame of pandas."""

    @property
    def columns(self) -> Any: ...

    def to_dict(self, *, orient: Any) -> Any: ...


Columns = Mapping[str, Sequence[Number]]
Series = Sequence[Number] | Sequence[Sequence[Number]] | Sequence[Mapping[str, Number]] | Columns | Array | Table | Csv
ManySeries = (
    Sequence[Sequence[Sequence[Number]]]
    | Sequence[Sequence[Mapping[str, Number]]]
    | Sequence[Columns]
    | Sequence[Array]
    | Sequence[Table]
    | Sequence[Csv]
)


def plain(given: Any) -> Any:
    """Arrays as lists, and tables as columns."""
    if hasattr(given, "to_dict") and hasattr(given, "columns"):
        return given.to_dict(orient="list")
    return given.tolist() if hasattr(given, "tolist") else given


def is_one(given: Any) -> bool:
    """Whether a plain value is one series. A list of numbers or rows is one; a list of lists of rows, of columns, of
    tables, of arrays with rows or of CSVs is several."""
    if not isinstance(given, list | tuple):
        return True
    if not given:
        return False
    first = plain(given[0])
    if isinstance(first, Mapping):
        return not (_is_table(given[0]) or any(_is_list(plain(column)) for column in first.values()))
    if _is_list(first):
        return bool(first) and not (_is_list(plain(first[0])) or isinstance(first[0], Mapping))
    return first is None or isinstance(first, int | float | Decimal)


def read_series(given: Any) -> JsonInput | CsvInput:
    """One series as a request carries it. Raises OSError and TypeError."""
    if isinstance(given, Csv):
        return CsvInput(file_bytes(given.file))
    value = plain(given)
    if isinstance(value, Mapping):
        return JsonInput("series", {str(name): column for name, column in value.items()})
    if not _is_list(value):
        raise TypeError(
            "a series is a list of numbers or rows, columns by name, an array, a table or a Csv(file), not "
            f"{type(given).__name__}"
        )
    rows = [plain(row) for row in value]
    # numbers as rows, which are one series whatever the number of features
    return JsonInput("series", [row if isinstance(row, list | tuple | Mapping) else [row] for row in rows])


def _is_table(given: Any) -> bool:
    return hasattr(given, "to_dict") and hasattr(given, "columns")


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)
