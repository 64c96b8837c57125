"""Forecasts that need no network, which `forecast-weather` must beat: persistence, climatology, linear regression."""

from datetime import date

import torch
from torch import Tensor

from training.weather import FEATURES, HORIZON, TARGETS, Weather, Windows, split_of

_AROUND = 10  # days on each side of a day of the year that its climatology averages


def persistence(windows: Windows) -> Tensor:
    """The last day of each window, for every day ahead: (windows, 3, targets)."""
    columns = [FEATURES.index(name) for name in TARGETS]
    return windows.inputs[:, -1:, columns].repeat(1, HORIZON, 1)


def climatology(weather: Weather, windows: Windows) -> Tensor:
    """The mean of the years before the test over the 21 days around the same day of the year: (windows, 3, targets)."""
    columns = [FEATURES.index(name) for name in TARGETS]
    known = [
        (_day_of_year(day), row)
        for day, row in zip(weather.days, weather.values, strict=True)
        if split_of(day) != "test"
    ]
    places, values = torch.tensor([place for place, _ in known]), torch.stack([row[columns] for _, row in known])
    means = []
    for day in range(365):
        distance = (places - day).abs()
        means.append(values[torch.minimum(distance, 365 - distance) <= _AROUND].mean(0))
    table = torch.stack(means)
    return torch.stack([table[[_day_of_year(day) for day in days]] for days in windows.days])


def _day_of_year(day: date) -> int:
    """0 to 364, as in a year without 29 February, which counts as the 28th."""
    plain = day.replace(year=2015, day=min(day.day, 28) if day.month == 2 else day.day)
    return plain.timetuple().tm_yday - 1


def linear_regression(known: Windows, windows: Windows) -> Tensor:
    """Least squares from all numbers of a window to all its targets, fitted to `known`: (windows, 3, targets)."""
    solution = torch.linalg.lstsq(_rows(known), known.targets.flatten(1).double(), driver="gelsd").solution
    forecast: Tensor = (_rows(windows) @ solution).float()
    return forecast.view(-1, HORIZON, len(TARGETS))


def _rows(windows: Windows) -> Tensor:
    """The numbers of each window, precipitation as ln(1 + x) like the network's, and a one."""
    inputs = windows.inputs.double()
    wet = FEATURES.index("precipitation")
    inputs[:, :, wet] = inputs[:, :, wet].log1p()
    return torch.cat([inputs.flatten(1), torch.ones(len(inputs), 1, dtype=torch.float64)], 1)
