"""Recipe of `forecast-weather`: six days of Seattle's weather to the temperatures of the next three, by a residual
block over time (ResNet-1D) and an LSTM.

    python -m training.forecast_weather --data data
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor, nn

from app.models.forecaster import Forecaster
from app.store.block import Block
from app.store.encoders import SeriesEncoder
from app.store.forecaster import Forecaster as Architecture
from app.store.manifest import Manifest
from app.store.recurrence import Recurrence
from app.store.scaling import Standard
from app.store.series_input import Feature, SeriesInput
from app.store.training_facts import Training
from app.tasks import scaling
from training.cards import CardText
from training.loop import Schedule, chunks, fit
from training.recipe import Figure, Recipe, Shipped
from training.weather import (
    FEATURES,
    HORIZON,
    TARGETS,
    WINDOW,
    Windows,
    read_weather,
    windows_of,
)
from training.weather_baselines import climatology, linear_regression, persistence

# Near the means and standard deviations of the years of training.
COLUMNS = {
    "precipitation": Feature(name="precipitation", log1p=True, scaling=Standard(mean=0.7, std=1.0)),
    "temp_max": Feature(name="temp_max", scaling=Standard(mean=16, std=7)),
    "temp_min": Feature(name="temp_min", scaling=Standard(mean=8, std=5)),
    "wind": Feature(name="wind", scaling=Standard(mean=3.3, std=1.5)),
}
SERIES = SeriesInput(
    features=tuple(COLUMNS[name] for name in FEATURES),
    targets=tuple(COLUMNS[name] for name in TARGETS),
    window=WINDOW,
    interval="1 day",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """The options of the recipe."""

    width: int = 32
    hidden: int = 48
    dropout: float = 0.2
    noise: float = 0.1  # standard deviation of what is added to scaled inputs in training
    windows_per_batch: int = 32
    seed: int = 1
    schedule: Schedule

    def architecture(self) -> Architecture:
        block = Block(kind="residual", width=self.width, kernels=(3, 1))
        recurrence = Recurrence(cell="lstm", input_size=self.width, hidden_size=self.hidden)
        encoder = SeriesEncoder(features=len(FEATURES), front=(block,), recurrence=recurrence)
        return Architecture(encoder=encoder, targets=len(TARGETS), horizon=HORIZON)


CONFIG = Config(schedule=Schedule(epochs=35, learning_rate=2e-3, average=0.99, patience=35, products="float32"))


def scaled(values: Tensor, columns: Sequence[Feature]) -> Tensor:
    """Numbers in their units (..., columns) as the network reads them, by the service's rule."""
    rows = values.reshape(-1, len(columns)).numpy().astype(np.float64)
    return torch.from_numpy(scaling.scaled(rows, columns)).view(values.shape)


def in_units(values: Tensor, columns: Sequence[Feature]) -> Tensor:
    """Outputs of the network (..., columns) in their units."""
    rows = scaling.unscaled(values.reshape(-1, len(columns)).numpy(), columns)
    return torch.from_numpy(rows.astype(np.float32)).view(values.shape)


def mixed(inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Points on the lines between windows and other windows (mixup, Zhang et al. 2018): three years are few, and
    what six days say about the next ones is nearly linear."""
    share = torch.rand(len(inputs), 1, 1)
    others = torch.randperm(len(inputs))
    return tuple(share * part + (1 - share) * part[others] for part in (inputs, targets))  # type: ignore[return-value]


def forecasts(network: Forecaster, inputs: Tensor) -> Tensor:
    """Scaled windows (windows, 6, features) to scaled targets (windows, 3, targets)."""
    lengths = torch.full((len(inputs),), inputs.shape[1])
    forecast: Tensor = network(inputs, lengths)
    return forecast


def train(data: Path, folder: Path, epochs: int | None) -> None:
    config = CONFIG
    torch.manual_seed(config.seed)
    weather = read_weather(data)
    known, dev = windows_of(weather, "train"), windows_of(weather, "dev")
    inputs, targets = scaled(known.inputs, SERIES.features), scaled(known.targets, SERIES.targets)
    network = Forecaster(config.architecture(), dropout=config.dropout)
    click.echo(f"{len(inputs)} windows, {sum(parameter.numel() for parameter in network.parameters())} parameters")

    def batches(epoch: int) -> list[list[int]]:
        order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(config.seed + epoch)).tolist()
        return [list(part) for part in chunks(order, config.windows_per_batch)]

    def loss(batch: list[int]) -> Tensor:
        windows, after = mixed(inputs[batch], targets[batch])
        return nn.functional.l1_loss(forecasts(network, windows + config.noise * torch.randn(windows.shape)), after)

    def score(averaged: nn.Module) -> float:
        assert isinstance(averaged, Forecaster)
        return -float(errors(answers(averaged, dev), dev).mean())

    best = fit(network, config.schedule.for_trial(epochs), batches=batches, loss=loss, score=score, folder=folder)
    torch.save(best.state_dict(), folder / "best.pt")


def answers(network: Forecaster, windows: Windows) -> Tensor:
    """Forecasts in °C (windows, 3, targets)."""
    return in_units(forecasts(network, scaled(windows.inputs, SERIES.features)), SERIES.targets)


def errors(forecast: Tensor, windows: Windows) -> Tensor:
    """Mean absolute error in °C of each day ahead and target: (3, targets)."""
    return (forecast - windows.targets).abs().mean(0)


def measure(shipped: Shipped, data: Path) -> list[Figure]:
    assert isinstance(shipped.network, Forecaster)
    weather = read_weather(data)
    known, test = windows_of(weather, "train", "dev"), windows_of(weather, "test")
    where = f"Seattle 2015, {len(test.inputs)} windows"
    forecast_by = {
        "": answers(shipped.network, test),
        " by persistence": persistence(test),
        " by climatology": climatology(weather, test),
        " by linear regression": linear_regression(known, test),
    }
    error_by = {way: errors(forecast, test) for way, forecast in forecast_by.items()}
    whole = [
        Figure(f"mean absolute error of {target}{way}", float(error[:, place].mean()), f"{where}, °C, 3 days")
        for place, target in enumerate(TARGETS)
        for way, error in error_by.items()
    ]
    by_day = [
        Figure(f"mean absolute error of {TARGETS[0]}, day {day + 1}{way}", float(error[day, 0]), f"{where}, °C")
        for day in range(HORIZON)
        for way, error in error_by.items()
    ]
    return whole + by_day


CARD = CardText(
    data="""Daily weather of Seattle from 2012 to 2015 (NOAA): precipitation in mm, highest and lowest temperature
in °C, wind in m/s. The file `seattle-weather.csv` is in the package vega_datasets 0.9.0. A window has 6 days of these 4
features; the targets are both temperatures of the 3 days after it. 2015 is
held out. Of 2012 to 2014, April, August and December after their first ten days choose the epoch, and the rest trains.
Inputs and targets are standardised, precipitation after ln(1 + x). The loss is the mean absolute error, on windows and
on points between two windows (mixup, Zhang et al. 2018).

The baselines answer the same windows of 2015 and know all of 2012 to 2014. Persistence repeats the last day.
Climatology is the mean of these years over the 21 days around the same day of the year. Linear regression is
least squares from all 24 numbers of a window to all 6 targets.""",
    limits="""One weather station: other places, heights and hemispheres have other winters. Six days say little about
the time of the year, and nothing of the weather elsewhere, which forecasts of weather services are made from. A heat
wave or a cold front that no day of the window announces is missed: forecasts three days ahead are near the mean of
the season. Precipitation and wind are read and not forecast.""",
    terms="Data: NOAA, public domain. Weights: Apache-2.0, as the rest of this repository.",
)
RECIPE = Recipe(
    draft=Manifest(
        name="forecast-weather",
        version=1,
        task="forecasting",
        description="Seattle's weather: the highest and lowest temperature of the next 3 days, from 6 days of weather.",
        default=True,
        architecture=CONFIG.architecture(),
        series=SERIES,
        parameters=1,
        files={},
        licence="Apache-2.0",
        training=Training(recipe="python -m training.forecast_weather", minutes=1),
    ),
    card=CARD,
    train=train,
    measure=measure,
)

if __name__ == "__main__":
    RECIPE.command()()
