"""Lists of a file that name the columns of a series, rather than words or labels: by the name of the list."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Columned = Literal["features", "targets"]
_FEATURES = (
    "features",
    "feature_names",
    "feature_names_in",
    "feature_cols",
    "feature_columns",
    "feature_list",
    "features_list",
    "input_features",
    "input_cols",
    "input_columns",
    "input_names",
    "x_cols",
    "x_columns",
    "columns",
    "cols",
    "column_names",
    "col_names",
    "channels",
    "channel_names",
    "variables",
    "sensors",
)
MAY_BE_LABELS = "target_names"  # of columns, or of classes as in the data sets of sklearn
_TARGETS = (
    "targets",
    MAY_BE_LABELS,
    "target_cols",
    "target_columns",
    "target_features",
    "target_list",
    "output_features",
    "output_cols",
    "output_columns",
    "output_names",
    "y_cols",
    "y_columns",
)
ONE_TARGET = ("target", "target_col", "target_column", "target_name", "target_feature", "y_col")
_NAMES: Mapping[Columned, Sequence[str]] = {"features": _FEATURES, "targets": (*_TARGETS, *ONE_TARGET)}


@dataclass(frozen=True)
class ColumnList:
    """`name` is that of the list, `path` its place in the files."""

    name: str
    path: str
    columns: Sequence[str]


def last_name(path: str, file: str) -> str:
    """The name of a list: that of its entry, or of the file that is nothing but the list."""
    return (file.partition(".")[0] if path.isdecimal() else path.rpartition(".")[2]).lower().rstrip("_")


def names_columns(name: str) -> bool:
    """Whether a list of this name has columns."""
    return any(name in names for names in _NAMES.values())


def columns_for(lists: Sequence[ColumnList], role: Columned, counts: Sequence[int]) -> ColumnList | None:
    """The first list of this role of as many different names as one of `counts`; None if there is none."""
    by_name = [found for name in _NAMES[role] for found in lists if found.name == name]
    return next((found for found in by_name if len(found.columns) in counts and _are_names(found.columns)), None)


def _are_names(columns: Sequence[str]) -> bool:
    """Whether they can stand on a command line, with commas between them."""
    return len(set(columns)) == len(columns) and all(name.strip() and "," not in name for name in columns)
