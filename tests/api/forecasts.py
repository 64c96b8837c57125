"""Forecasts of the tiny models without the service: scaled by formulas, and by `torch.nn` one row at a time."""

import math
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load_file

from app.store.forecaster import Forecaster
from app.store.manifest import Manifest
from app.store.scaling import MinMax, Standard
from app.store.series_input import Feature
from tests.models import series_references
from tests.tiny_numbers import number_drafts

Rows = list[list[float]]
DRAFTS = {draft.name: draft for draft in number_drafts()}


def scale(column: Feature, number: float) -> float:
    """A number as the network reads it."""
    number = math.log1p(number) if column.log1p else number
    match column.scaling:
        case MinMax():
            return (number - column.scaling.minimum) / (column.scaling.maximum - column.scaling.minimum)
        case Standard():
            return (number - column.scaling.mean) / column.scaling.std
        case None:
            return number


def unscale(column: Feature, number: float) -> float:
    """An output of the network in its units."""
    match column.scaling:
        case MinMax():
            number = number * (column.scaling.maximum - column.scaling.minimum) + column.scaling.minimum
        case Standard():
            number = number * column.scaling.std + column.scaling.mean
        case None:
            pass
    return math.expm1(number) if column.log1p else number


@cache
def weights_of(store: Path, name: str) -> dict[str, torch.Tensor]:
    file = store / name / "1" / "model.safetensors"
    return {tensor: values.float() for tensor, values in load_file(file).items()}


def outputs(store: Path, name: str, rows: Rows, horizon: int | None = None) -> Rows:
    """The outputs of the network for rows without missing numbers, of which the last window counts."""
    manifest = DRAFTS[name]
    series, config = manifest.series, manifest.architecture
    assert series is not None
    assert isinstance(config, Forecaster)
    read = torch.tensor(
        [
            [scale(column, number) for column, number in zip(series.features, row, strict=True)]
            for row in rows[-(series.window or len(rows)) :]
        ]
    )
    last = torch.stack([read[-1, series.features.index(target)] for target in series.targets])
    with torch.no_grad():
        forecast = series_references.forecast(config, weights_of(store, name), read, horizon or config.horizon, last)
    found: Rows = forecast[: horizon or config.horizon].tolist()
    return found


def forecast(store: Path, name: str, rows: Rows, horizon: int | None = None) -> Rows:
    """The forecast in the units of the data."""
    return in_units(DRAFTS[name], outputs(store, name, rows, horizon))


def in_units(manifest: Manifest, rows: Rows) -> Rows:
    assert manifest.series is not None
    return [
        [unscale(column, number) for column, number in zip(manifest.series.targets, row, strict=True)] for row in rows
    ]
