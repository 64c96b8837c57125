"""Seattle's daily weather from 2012 to 2015 (NOAA), out of the wheel of vega_datasets 0.9.0: reader and windows."""

import csv
import io
from collections.abc import Collection, Iterator
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

import torch
from torch import Tensor

from training.data import Split

ARCHIVE = "vega_datasets-0.9.0-py3-none-any.whl"
FILE = "vega_datasets/_data/seattle-weather.csv"
FEATURES = ("precipitation", "temp_max", "temp_min", "wind")  # mm, °C, °C, m/s
TARGETS = ("temp_max", "temp_min")
WINDOW, HORIZON = 6, 3  # days
_DEV_MONTHS, _DEV_DAYS = (4, 8, 12), range(11, 32)


class Weather(NamedTuple):
    """Consecutive days, and their numbers (days, features)."""

    days: list[date]
    values: Tensor


class Windows(NamedTuple):
    """Windows (windows, 6, features), the targets after each (windows, 3, targets), and the days of these targets."""

    inputs: Tensor
    targets: Tensor
    days: list[tuple[date, ...]]


def read_weather(data: Path) -> Weather:
    """All days of the file, of which none is missing."""
    with ZipFile(data / ARCHIVE) as archive:
        text = archive.read(FILE).decode("utf8")
    rows = list(csv.DictReader(io.StringIO(text)))
    days = [date.fromisoformat(row["date"].replace("/", "-")) for row in rows]
    for before, after in pairwise(days):
        if (after - before).days != 1:
            raise ValueError(f"{FILE} goes from {before} to {after}: every day must have a row")
    return Weather(days, torch.tensor([[float(row[name]) for name in FEATURES] for row in rows]))


def split_of(day: date) -> Split:
    """2015 is test. Of the years before it, April, August and December are dev, without their first ten days."""
    if day.year == 2015:
        return "test"
    return "dev" if day.month in _DEV_MONTHS and day.day in _DEV_DAYS else "train"


def windows_of(weather: Weather, *splits: Split) -> Windows:
    """Every window whose targets are all in these splits. Its own days may be in another."""
    starts = list(_starts(weather.days, splits))
    columns = [FEATURES.index(name) for name in TARGETS]
    after = [range(start + WINDOW, start + WINDOW + HORIZON) for start in starts]
    return Windows(
        torch.stack([weather.values[start : start + WINDOW] for start in starts]),
        torch.stack([weather.values[days][:, columns] for days in after]),
        [tuple(weather.days[day] for day in days) for days in after],
    )


def _starts(days: list[date], splits: Collection[Split]) -> Iterator[int]:
    for start in range(len(days) - WINDOW - HORIZON + 1):
        if all(split_of(day) in splits for day in days[start + WINDOW : start + WINDOW + HORIZON]):
            yield start
