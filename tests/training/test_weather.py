"""Windows of the weather and their baselines, against slow loops over the days."""

from datetime import timedelta
from pathlib import Path
from zipfile import ZipFile

import pytest
import torch

from tests.training.raw_data import write_raw_data
from training.weather import ARCHIVE, FEATURES, FILE, HORIZON, TARGETS, WINDOW, Weather, read_weather, windows_of
from training.weather_baselines import climatology, linear_regression, persistence


@pytest.fixture(scope="module")
def weather(tmp_path_factory: pytest.TempPathFactory) -> Weather:
    folder = tmp_path_factory.mktemp("data")
    write_raw_data(folder)
    return read_weather(folder)


def test_windows_are_of_the_split_of_their_targets(weather: Weather) -> None:
    known, test = windows_of(weather, "train", "dev"), windows_of(weather, "test")
    assert len(known.days) == 366 + 365 + 365 - WINDOW - HORIZON + 1
    assert len(test.days) == 365 - HORIZON + 1
    assert not {day for days in known.days for day in days} & {day for days in test.days for day in days}
    train, dev = ({day for days in windows_of(weather, split).days for day in days} for split in ("train", "dev"))
    assert not train & dev
    assert len(train | dev) == 366 + 365 + 365 - WINDOW
    assert {day.month for day in dev} == {4, 8, 12}
    values = dict(zip(weather.days, weather.values.tolist(), strict=True))
    for place in (0, 7, len(test.days) - 1):
        first = test.days[place][0]
        before = [values[first - timedelta(days)] for days in range(WINDOW, 0, -1)]
        after = [values[day] for day in test.days[place]]
        assert test.inputs[place].tolist() == before
        assert test.targets[place].tolist() == [[row[FEATURES.index(name)] for name in TARGETS] for row in after]


def test_a_missing_day_is_an_error(tmp_path: Path) -> None:
    write_raw_data(tmp_path)
    lines = ZipFile(tmp_path / ARCHIVE).read(FILE).decode().splitlines(keepends=True)
    with ZipFile(tmp_path / ARCHIVE, "w") as archive:
        archive.writestr(FILE, "".join(lines[:50] + lines[51:]))
    with pytest.raises(ValueError, match="from 2012-02-18 to 2012-02-20"):
        read_weather(tmp_path)


def test_persistence_repeats_the_last_day(weather: Weather) -> None:
    test = windows_of(weather, "test")
    forecast = persistence(test)
    assert forecast.shape == test.targets.shape
    for day in range(HORIZON):
        assert torch.equal(forecast[:, day, 0], test.inputs[:, -1, FEATURES.index("temp_max")])


def test_climatology_is_the_mean_around_the_day_of_the_year(weather: Weather) -> None:
    test = windows_of(weather, "test")
    forecast = climatology(weather, test)
    for place in (0, 100, 200, len(test.days) - 1):
        day = test.days[place][1]
        near = []
        for year in range(2011, 2016):
            middle = day.replace(year=year)
            around = {middle + timedelta(days) for days in range(-10, 11)}
            near += [
                row[FEATURES.index("temp_max")]
                for mine, row in zip(weather.days, weather.values.tolist(), strict=True)
                if mine in around and mine.year != 2015
            ]
        assert forecast[place, 1, 0].item() == pytest.approx(sum(near) / len(near), abs=0.1)  # leap years move a day


def test_linear_regression_finds_an_exact_relation(weather: Weather) -> None:
    known, test = (windows_of(weather, *splits) for splits in (("train", "dev"), ("test",)))
    known, test = (
        each._replace(
            targets=torch.stack([each.inputs[:, -1, 1:3] + 2 * each.inputs[:, day, 3:4] + 1 for day in range(3)], 1)
        )
        for each in (known, test)
    )
    torch.testing.assert_close(linear_regression(known, test), test.targets, atol=1e-3, rtol=0)
