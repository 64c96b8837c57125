"""Random series in JSON and mutated CSVs: each is read, or refused as the caller's error."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from app.engine.protocol import Series
from app.errors import InputError
from app.store.manifest import Manifest
from app.store.series_input import SeriesInput
from app.tasks.catalog import Entry
from app.tasks.forecasting import ForecastOptions
from app.tasks.job import ReadSource
from app.tasks.sources.image_decoders import ImageDecoders
from app.tasks.sources.limits import SourceLimits
from app.tasks.sources.raw_series import CsvFile, RawSeries, series_in
from app.tasks.sources.series import SeriesSource
from app.tasks.sources.source_kind import Reader
from tests.tiny_numbers import number_drafts

DRAFTS = [draft for draft in number_drafts() if draft.series is not None]
READER = Reader(SourceLimits(0, 0, 0, series_steps=50, windows=20), ImageDecoders(1, seconds=1, pixels=1))
SOURCE = SeriesSource()
SCALARS: tuple[object, ...] = (
    0,
    1.5,
    -1,
    1e300,
    float("nan"),
    float("inf"),
    None,
    True,
    "1",
    "",
    "NaN",
    10**400,
    [],
    {},
    [1],
    {"a": 1},
)
NAMES = ("rain", "temperature", "wind", "day", "")
CSVS = (
    "day,rain,temperature,wind\n2020-01-01,0.5,12.5,3\n2020-01-02,0,13,4\n",
    'temperature;wind;rain\n"1.234,5";2;3\n1,5;;7\n\n',
    "temperature\n" + "1\n" * 9,
)
PIECES = (",", ";", '"', "\n", "\r", "\t", "\0", "1", ".", "e", "-", "inf", "é", "\ufeff", "NaN", " ", "temperature")


def read(inputs: list[RawSeries], draft: Manifest, options: ForecastOptions) -> bool:
    """Read as the service does: a source has only finite numbers, as many as the network reads. Returns whether the
    inputs are read."""
    assert draft.series is not None
    try:
        SOURCE.check(inputs, READER.limits, options)
        entries = [Entry(draft)] * len(inputs)
        sources = asyncio.run(SOURCE.read(inputs, entries, READER, options, pieces=False, deadline=None))
    except InputError as error:
        detail = error.detail
    else:
        _check(inputs, sources, draft.series)
        return True
    assert detail.isprintable()
    assert len(detail) < 1000
    return False


def _check(inputs: Sequence[RawSeries], sources: Sequence[ReadSource], series: SeriesInput) -> None:
    assert len(sources) == len(inputs)
    for source in (one for first in sources for one in (first, *(other for _, other in first.following))):
        assert isinstance(source.source, Series)
        table = source.source.rows
        assert np.isfinite(np.frombuffer(table.numbers, np.float32)).all()
        assert table.columns == len(series.features)
        assert len(table) == series.window or (series.window is None and len(table) > 0)


def value(chance: random.Random, depth: int = 3) -> Any:
    kind = chance.random()
    if depth == 0 or kind < 0.3:
        return chance.choice(SCALARS) if chance.random() < 0.3 else chance.uniform(-2, 9)
    count = chance.choice((1, 2, 3, 6, 9, 60))
    if kind < 0.75:
        same = value(chance, depth - 1) if chance.random() < 0.7 else None
        return [value(chance, depth - 1) if same is None else same for _ in range(count)]
    return {chance.choice(NAMES): value(chance, depth - 1) for _ in range(4)}


def options_of(chance: random.Random) -> ForecastOptions:
    return (
        ForecastOptions(windows=True, stride=chance.choice((1, 5, None)))
        if chance.random() < 0.4
        else ForecastOptions()
    )


@pytest.mark.parametrize("seed", range(8))
def test_random_json(seed: int) -> None:
    chance = random.Random(seed)
    outcomes = set()
    for _ in range(300):
        inputs = value(chance)
        if isinstance(inputs, list | dict) and inputs:
            draft = chance.choice(DRAFTS)
            assert draft.series is not None
            outcomes.add(read(list(series_in(inputs, len(draft.series.features))), draft, options_of(chance)))
    assert outcomes == {True, False}


@pytest.mark.parametrize("seed", range(8))
def test_mutated_csvs(seed: int) -> None:
    chance = random.Random(seed)
    outcomes = set()
    for _ in range(300):
        text = chance.choice(CSVS)
        for _ in range(chance.randrange(6)):
            place = chance.randrange(len(text) + 1)
            text = text[:place] + chance.choice(PIECES) + text[place + chance.randrange(3) :]
        content = bytearray(text.encode(chance.choice(("utf-8", "utf-16", "utf-8"))))
        if content and chance.random() < 0.1:
            content[chance.randrange(len(content))] = chance.randrange(256)
        charset = chance.choice((None, None, "utf-16", "cp949", "windows-1252", "hex"))
        outcomes.add(read([CsvFile(bytes(content), charset)], chance.choice(DRAFTS), options_of(chance)))
    assert outcomes == {True, False}
