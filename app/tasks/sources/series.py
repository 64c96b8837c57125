"""The source kind `series`: rows of numbers, scaled and cut as a model reads them."""

import asyncio
from collections.abc import Sequence
from typing import Any, assert_never

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.engine.protocol import Carry, Series, Table
from app.errors import EmptyInput, InputTooLong, InputTooShort, InvalidSeries, counted
from app.store.manifest import Manifest
from app.store.series_input import SeriesInput
from app.tasks.catalog import Entry
from app.tasks.columns import ANY, Column
from app.tasks.job import ReadSource
from app.tasks.options import TaskOptions, WindowOptions
from app.tasks.scaling import Rows, Scaled, scaled
from app.tasks.sources.csv_series import read_csv
from app.tasks.sources.limits import SourceLimits
from app.tasks.sources.raw_series import (
    ArraySeries,
    CsvFile,
    JsonSeries,
    RawSeries,
    Reading,
    read_json,
    steps_in,
    values_in,
)
from app.tasks.sources.series_place import SeriesPlace
from app.tasks.sources.series_windows import windows_of
from app.tasks.sources.source_kind import Reader, SourceKind
from app.tasks.states.carrying import Carrying, NextState, begun

_PIECE = 65_536  # numbers
_INLINE_VALUES = 2000  # a thread reads longer series, which would block the event loop


class SeriesSource(SourceKind[RawSeries]):
    """A series: numbers in time, a row for each step."""

    kinds = ("series",)
    items = (JsonSeries, CsvFile, ArraySeries)
    options_in_query = True

    def columns(self, manifest: Manifest) -> tuple[Column, ...]:
        """See `SourceKind.columns`: series of as many steps each."""
        return (Column("series", "float32", (ANY, len(_series_of(manifest).features)), ("steps",)),)

    def from_column(
        self, manifest: Manifest, column: Column, values: Sequence[Any], shape: Sequence[int]
    ) -> Sequence[RawSeries]:
        """See `SourceKind.from_column`."""
        return [ArraySeries(_array(value).reshape(shape)) for value in values]

    def check(self, inputs: Sequence[RawSeries], limits: SourceLimits, options: TaskOptions) -> None:
        """See `SourceKind.check`. A CSV is checked when it is read."""
        for index, raw in enumerate(inputs):
            steps = steps_in(raw)
            if steps == 0:
                raise _empty(f"inputs[{index}]", index)
            if steps is not None and steps > limits.series_steps:
                raise InputTooLong(
                    f"inputs[{index}] has {steps} steps; the limit is {limits.series_steps}: send the last ones",
                    input=index,
                    limit=limits.series_steps,
                )

    async def read(
        self,
        inputs: Sequence[RawSeries],
        entries: Sequence[Entry],
        reader: Reader,
        options: TaskOptions,
        *,
        pieces: bool,
        deadline: float | None,
    ) -> list[ReadSource]:
        """See `SourceKind.read`. Raises InvalidSeries and InputTooShort."""
        values = [_INLINE_VALUES if isinstance(raw, CsvFile) else values_in(raw) for raw in inputs]
        if sum(values) < _INLINE_VALUES:
            return self._read_all(inputs, entries, reader.limits, options, reader.carrying)
        return await asyncio.to_thread(self._read_all, inputs, entries, reader.limits, options, reader.carrying)

    def _read_all(
        self,
        inputs: Sequence[RawSeries],
        entries: Sequence[Entry],
        limits: SourceLimits,
        options: TaskOptions,
        carrying: Carrying,
    ) -> list[ReadSource]:
        read: list[ReadSource] = []
        windows = numbers = 0
        for index, (raw, entry) in enumerate(zip(inputs, entries, strict=True)):
            series = _series_of(entry.manifest)
            place = SeriesPlace.of(index, entry.manifest, is_csv=isinstance(raw, CsvFile))
            reading = _reading(raw, place, limits)
            starts, unit = _starts(len(reading.rows), series, options, place)
            read_steps = series.window or unit  # padding included
            _check_whole(read_steps, entry.manifest, place, limits)
            if _cuts(options) or series.window is not None:
                windows, numbers = windows + len(starts), numbers + len(starts) * read_steps * len(series.features)
                _check_windows(windows, numbers, index, limits)
            past = _past(reading, series) if _cuts(options) else None
            source = _source_of(_network_rows(reading, starts, unit, series, place), past)
            read.append(_with_state(source, entry.manifest, carrying) if carrying.is_on else source)
        return read


def _with_state(read: ReadSource, manifest: Manifest, carrying: Carrying) -> ReadSource:
    """A series that continues from a state; the one after its last row is kept."""
    saved = carrying.start or begun(manifest)
    keys = carrying.keys
    return msgspec.structs.replace(
        read,
        carry=Carry(saved.carried, None if keys is None else read.steps),
        next=None if keys is None else NextState(saved, keys),
    )


def _array(numbers: Sequence[float]) -> NDArray[np.float64]:
    """Numbers as an array, some at a time: other threads run in between."""
    return np.concatenate(
        [np.asarray(numbers[place : place + _PIECE], np.float64) for place in range(0, len(numbers), _PIECE)]
    )


def _empty(name: str, index: int) -> EmptyInput:
    return EmptyInput(f"{name} has no numbers; send at least one row", input=index)


def _series_of(manifest: Manifest) -> SeriesInput:
    assert manifest.series is not None  # of every model that reads series, see `Manifest`
    return manifest.series


def _reading(raw: RawSeries, place: SeriesPlace, limits: SourceLimits) -> Reading:
    match raw:
        case CsvFile():
            reading = read_csv(raw, place, most=limits.series_steps)
        case ArraySeries():
            reading = Reading(raw.rows)
        case JsonSeries():
            reading = read_json(raw.value, place)
        case _:
            assert_never(raw)
    if not len(reading.rows):  # another column than the features has numbers
        raise _empty(place.name, place.index)
    infinite = np.argwhere(np.isinf(reading.rows))
    if len(infinite):
        row, column = map(int, infinite[0])
        raise _refused(reading, row, column, place, "the number is infinite or too large; send a finite one")
    return reading


def _starts(steps: int, series: SeriesInput, options: TaskOptions, place: SeriesPlace) -> tuple[Sequence[int], int]:
    """The first row of each window, and the steps of a window: fewer than the network's if it is to be padded."""
    cuts = _cuts(options)
    unit = WindowOptions.unit(series) if cuts else series.window or steps
    if steps < unit:
        if cuts or series.pad == "refuse":
            raise InputTooShort(
                f"{place.name} has {counted(steps, 'step')}; {place.model} needs {unit}: send {unit - steps} more",
                input=place.index,
                limit=unit,
            )
        return [0], steps
    if cuts:
        assert isinstance(options, WindowOptions)
        return range(0, steps - unit + 1, options.step(series)), unit
    return [steps - unit], unit


def _cuts(options: TaskOptions) -> bool:
    return isinstance(options, WindowOptions) and options.windows


def _check_whole(steps: int, manifest: Manifest, place: SeriesPlace, limits: SourceLimits) -> None:
    encoder = manifest.architecture.encoder
    if encoder.kind != "series" or encoder.is_divisible:
        return
    most = min(limits.whole_steps, max(encoder.whole_steps(limits.whole_steps), manifest.fixed_source or 0))
    if steps > most:
        raise InputTooLong(
            f"{place.name} has {steps} steps; {place.model} reads a series as a whole, of at most {most} steps "
            "(max_whole_steps): send the last ones",
            input=place.index,
            limit=most,
        )


def _check_windows(windows: int, numbers: int, index: int, limits: SourceLimits) -> None:
    of_windows, of_numbers = (windows, limits.windows), (numbers, limits.window_numbers)
    for (count, limit), what in ((of_windows, "windows"), (of_numbers, "numbers in windows")):
        if count > limit:
            raise InputTooLong(
                f"the inputs up to inputs[{index}] have {count} {what}; the limit of a request is {limit}: send fewer "
                "or shorter series, or a larger stride",
                input=index,
                limit=limit,
            )


def _network_rows(
    reading: Reading, starts: Sequence[int], unit: int, series: SeriesInput, place: SeriesPlace
) -> list[Scaled]:
    """The rows of each window as the network reads them. Raises InvalidSeries."""
    windows = windows_of(reading.rows, starts, unit, series)
    missing = np.argwhere(np.isnan(windows))
    if len(missing):
        window, step, column = map(int, missing[0])
        raise _refused(reading, starts[window] + step, column, place, _why_missing(series, place))
    rows = scaled(windows.reshape(-1, len(series.features)), series.features)
    wrong = np.argwhere(~np.isfinite(rows))
    if len(wrong):
        row, column = map(int, wrong[0])
        number = windows.reshape(-1, len(series.features))[row, column]
        is_logarithm = series.features[column].log1p and number <= -1
        why = "the model takes log(1 + x), so send a number above -1" if is_logarithm else "the number is too large"
        raise _refused(reading, starts[row // unit] + row % unit, column, place, f"{number:g}: {why}")
    return [_padded(one, series) for one in rows.reshape(len(starts), unit, -1)]


def _padded(rows: Scaled, series: SeriesInput) -> Scaled:
    lacking = (series.window or len(rows)) - len(rows)
    if lacking == 0:
        return rows
    padding = np.full((lacking, rows.shape[1]), series.pad_value, dtype=np.float32)
    return np.concatenate([padding, rows] if series.pad == "left" else [rows, padding])


def _why_missing(series: SeriesInput, place: SeriesPlace) -> str:
    if series.missing == "refuse":
        return f"the number is missing, and {place.model} takes no missing numbers; send a number"
    return "the number is missing, and there is none before it from which to fill it; send later rows only"


def _refused(reading: Reading, row: int, column: int, place: SeriesPlace, what: str) -> InvalidSeries:
    return place.refused(what, row=row, column=place.features[column], line=reading.line(row))


def _past(reading: Reading, series: SeriesInput) -> Rows | None:
    """The targets of a series (steps, targets); None if one is no feature."""
    features, targets = [feature.name for feature in series.features], [target.name for target in series.targets]
    if not set(targets) <= set(features):
        return None
    return reading.rows[:, [features.index(target) for target in targets]]


def _source_of(windows: Sequence[Scaled], past: Rows | None) -> ReadSource:
    """The source of a series: that of its first window, which the others follow."""
    sources = [Series(Table(rows.shape[1], rows.tobytes())) for rows in windows]
    following = [("", ReadSource(source, part=part)) for part, source in enumerate(sources[1:], 1)]
    return ReadSource(sources[0], following=following, past=past)
