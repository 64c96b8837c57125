"""Scalers of series: of sklearn, in files with plain numbers, and in words on the command line."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from app.errors import ImportFailed
from app.importers.reading import ForeignObject, Plain
from app.store.scaling import MinMax, Standard

Scaling = MinMax | Standard
_PAIRS = (
    ("mean", "std"),
    ("mean", "scale"),
    ("means", "stds"),
    ("min", "max"),
    ("minimum", "maximum"),
    ("data_min", "data_max"),
    ("mins", "maxs"),
)
_NAMES = ("features", "columns", "names", "feature_names", "feature_names_in")
_MOST_KEYS = 8  # of a file with the numbers of a scaler alone


_CLIPS = "clip=True: values outside of the training's are clipped there, and not here"


@dataclass(frozen=True)
class Scaler:
    """The scaling of each column that it was fitted on; None leaves a column as it is. `names` may be unknown.
    `is_numbers`: it is numbers of a file, which may be something else. `note`: what it did in the training, and does
    not here."""

    columns: Sequence[Scaling | None]
    names: Sequence[str] = ()
    is_numbers: bool = False
    note: str = ""

    def in_words(self) -> str:
        """As on the command line."""
        columns = [column for column in self.columns if column is not None]
        if columns and isinstance(columns[0], MinMax):
            limits = [(c.minimum, c.maximum, c.low, c.high) for c in columns if isinstance(c, MinMax)]
            return "min-max:" + ";".join(",".join(map(_exact, numbers)) for numbers in limits)
        moments = [(c.mean, c.std) for c in columns if isinstance(c, Standard)]
        return "standard:" + ";".join(",".join(map(_exact, numbers)) for numbers in moments)

    def describe(self) -> str:
        methods = {column.method if column else "none" for column in self.columns}
        note = f" ({self.note})" if self.note else ""
        return f"{' and '.join(sorted(methods))} scaling of {len(self.columns)} columns{note}"


def scaler_in(plain: Plain) -> Scaler | None:
    """A scaler beside a network: plain numbers, or one of sklearn. None for anything else, such as a GradScaler, a
    module of the class LstmTransformer, or settings with a minimum.

    Raises ImportFailed for a scaler of sklearn that is not supported.
    """
    if isinstance(plain, ForeignObject):
        return scaler_of(plain) if plain.name.startswith("sklearn.") else None
    with suppress(ImportFailed):
        return scaler_of(plain)
    return None


def scaler_of(plain: Plain) -> Scaler | None:
    """None if this is not a scaler. Raises ImportFailed for a scaler of a kind that is not supported."""
    if isinstance(plain, ForeignObject):
        return _of_sklearn(plain)
    return _of_numbers(plain) if isinstance(plain, Mapping) else None


def beside_numbers(plain: Plain) -> Plain:
    """What a mapping has beside the numbers of a scaler: a network and its settings."""
    if not isinstance(plain, Mapping):
        return {}
    numbers = {name for pair in _PAIRS for name in pair}
    others = {key: value for key, value in plain.items() if str(key).lower().rstrip("_") not in numbers}
    if any(isinstance(value, Tensor) and value.dim() > 1 for value in others.values()):
        return others
    own = next((name for name in _NAMES if isinstance(others.get(name), list)), None)  # of the scaler's columns
    return {
        key: value
        for key, value in others.items()
        if isinstance(value, Mapping | ForeignObject | str | int | float) or (key != own and _are_words(value))
    }


def _are_words(value: Any) -> bool:
    """Whether it is a list of words, such as the labels of a network."""
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(item, str) for item in value)


def _of_sklearn(stub: ForeignObject) -> Scaler | None:
    kind = stub.name.rpartition(".")[2]
    state = stub.state
    names = [str(name) for name in _items(state.get("feature_names_in_"))]
    if kind == "MinMaxScaler" and "scale_" in state:
        low, high = map(float, _items(state.get("feature_range", (0, 1))))
        least, most = _numbers(state.get("data_min_")), _numbers(state.get("data_max_"))
        if not least or len(least) != len(most):
            raise ImportFailed(
                f"a {stub.name} has no data_min_ and data_max_ of each column: give them, --scaler min-max:MIN,MAX"
            )
        columns = [_min_max(one, other, low, high) for one, other in zip(least, most, strict=True)]
        return Scaler(columns, names, note=_CLIPS if state.get("clip") else "")
    if kind == "StandardScaler" and "scale_" in state:
        scales, means = _numbers(state["scale_"]), _numbers(state.get("mean_"))
        means, scales = means or [0.0] * len(scales), scales or [1.0] * len(means)
        if not means:
            return Scaler([None] * int(state.get("n_features_in_") or 1), names)
        return Scaler([_standard(mean, scale) for mean, scale in zip(means, scales, strict=True)], names)
    if kind == "MaxAbsScaler" and "scale_" in state:
        return Scaler([_standard(0.0, scale) for scale in _numbers(state["scale_"])], names)
    if kind == "RobustScaler" and "scale_" in state:
        centers, scales = _numbers(state.get("center_")), _numbers(state["scale_"])
        centers, scales = centers or [0.0] * len(scales), scales or [1.0] * len(centers)
        pairs = zip(centers, scales, strict=True)
        return Scaler([_standard(center, scale) for center, scale in pairs], names)
    if stub.name.startswith("sklearn.") and kind.endswith(("Scaler", "Transformer", "Pipeline")):
        raise ImportFailed(
            f"a {kind} is not supported as a scaler; MinMaxScaler, StandardScaler, MaxAbsScaler and RobustScaler are. "
            "Give its numbers, if it is linear: --scaler standard:MEAN,STD"
        )
    return None


def _of_numbers(mapping: Mapping[Any, Any]) -> Scaler | None:
    """`{"mean": [...], "std": [...]}` or `{"min": [...], "max": [...]}`, with numbers or lists of them."""
    keys = {str(key).lower().rstrip("_"): value for key, value in mapping.items()}
    for first, second in _PAIRS:
        if first in keys and second in keys:
            one, two = _numbers(keys[first]), _numbers(keys[second])
            is_word = len(keys) > _MOST_KEYS and not isinstance(keys[first], Tensor | list)  # of a vocabulary: an id
            if not one or len(one) != len(two) or is_word:
                return None
            names = next((keys[name] for name in _NAMES if isinstance(keys.get(name), list)), ())
            if not first.startswith(("min", "data")):
                return Scaler([_standard(a, b) for a, b in zip(one, two, strict=True)], names, is_numbers=True)
            low, high = _numbers(keys.get("feature_range")) or (0.0, 1.0)
            return Scaler([_min_max(a, b, low, high) for a, b in zip(one, two, strict=True)], names, is_numbers=True)
    return None


def scaler_in_words(text: str) -> Scaler | None:
    """`none`, `min-max:0,120` (and `,-1,1` for another range than 0 to 1), `standard:MEAN,STD`; columns are separated
    by semicolons. None if it is something else, such as the name of a file. Raises ImportFailed for wrong numbers."""
    if text == "none":
        return Scaler([None])
    method, colon, rest = text.partition(":")
    if not colon or method not in ("min-max", "standard"):
        return None
    columns: list[Scaling | None] = []
    for part in rest.split(";"):
        try:
            numbers = [float(number) for number in part.split(",")]
        except ValueError as error:
            raise ImportFailed(f"--scaler {text}: {part!r} must be numbers with commas between them") from error
        if len(numbers) not in ((2, 4) if method == "min-max" else (2,)):
            raise ImportFailed(f"--scaler {text}: use min-max:MINIMUM,MAXIMUM or standard:MEAN,STD for each column")
        if (numbers[1] == 0) if method == "standard" else (numbers[0] == numbers[1]):
            raise ImportFailed(
                f"--scaler {text}: {part!r} has a "
                + ("std of 0" if method == "standard" else "minimum that is its maximum")
                + ", by which nothing can be divided: give the numbers of the training"
            )
        columns.append(_min_max(*numbers) if method == "min-max" else _standard(*numbers))
    return Scaler(columns)


def _min_max(minimum: float, maximum: float, low: float = 0.0, high: float = 1.0) -> Scaling:
    try:
        if minimum == maximum:  # as sklearn does: a column of one value becomes `low`
            maximum = minimum + 1.0
        return MinMax(minimum=minimum, maximum=maximum, low=low, high=high)
    except ValidationError as error:
        raise ImportFailed(f"a scaler from {minimum:g} to {maximum:g}: {error.errors()[0]['msg']}") from error


def _standard(mean: float, std: float) -> Scaling:
    try:
        return Standard(mean=mean, std=std or 1.0)
    except ValidationError as error:
        raise ImportFailed(f"a scaler of mean {mean:g}, std {std:g}: {error.errors()[0]['msg']}") from error


def _exact(number: float) -> str:
    short = f"{number:g}"
    return short if float(short) == number else repr(number)


def _items(value: Any) -> list[Any]:
    if isinstance(value, Tensor):
        return list(value.detach().to(torch.float64).flatten().tolist())
    return list(value) if isinstance(value, list | tuple) else []


def _numbers(value: Any) -> list[float]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return [float(value)]
    items = _items(value)
    return [float(item) for item in items] if all(isinstance(item, int | float) for item in items) else []
