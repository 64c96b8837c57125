"""Forecasts as tables: aligned for a terminal, or as CSV."""

import csv
import sys
from collections.abc import Iterator
from typing import Any

import click
from unroll_client import ForecastRows

from app.cli.ask.output_file import Line


def number(value: float) -> str:
    """A number with the digits of float32."""
    return f"{value:.7g}"


def table(result: dict[str, Any]) -> list[list[str]]:
    """The header and a row for each step ahead; with windows, for each step of each of them."""
    names = ["step", *result["targets"]]
    windows = result.get("windows")
    if windows is None:
        return [names, *_steps(result)]
    rows = [[str(one["first"]), str(one["last"]), *row] for one in windows for row in _steps(one)]
    return [["first", "last", *names], *rows]


def aligned(rows: list[list[str]]) -> Iterator[str]:
    """Lines with columns of equal width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))


class CsvTable:
    """Prints forecasts as one CSV, whose header is that of the first. With several inputs each row begins with its
    input."""

    def __init__(self, *, alone: bool) -> None:
        self._alone = alone
        self._header: list[str] | None = None
        self._writer = csv.writer(sys.stdout, lineterminator="\n")

    def print(self, line: Line) -> None:
        """Print a result. Raises click.ClickException for one with other columns."""
        assert line.result is not None
        header, *rows = table(line.result)
        if self._header is None:
            self._header = header
            self._writer.writerow(header if self._alone else ["input", *header])
        elif header != self._header:
            raise click.ClickException(
                f"{line.input} has the columns {', '.join(header)}, not {', '.join(self._header)}; set --model"
            )
        self._writer.writerows(rows if self._alone else ([line.input, *row] for row in rows))


class StreamedRows:
    """Counts the steps of each window of a stream."""

    def __init__(self) -> None:
        self._steps: dict[int | None, int] = {}

    def lines(self, rows: ForecastRows) -> Iterator[str]:
        """A line for each row: its window, if there are several, its step and its numbers."""
        for values in rows.values:
            step = self._steps[rows.window] = self._steps.get(rows.window, 0) + 1
            place = [step] if rows.window is None else [rows.window, step]
            yield "\t".join([*map(str, place), *map(number, values)])


def _steps(forecast: dict[str, Any]) -> list[list[str]]:
    return [[str(step), *map(number, row)] for step, row in enumerate(forecast["values"], 1)]
