"""Answers on a terminal, by the kind of the answer."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, assert_never

import click
from unroll_client.forecasts import ForecastRows
from unroll_client.results import AnswerKind

from app.cli.ask.forecast_rows import CsvTable, StreamedRows, aligned, table
from app.cli.ask.output_file import Line

if TYPE_CHECKING:  # they import httpx, for which help would wait
    from unroll_client import ForecastStream, Stream

Form = Literal["text", "jsonl", "csv"]


def printer(form: Form, answer: AnswerKind | None, *, alone: bool) -> Callable[[Line], None]:
    """A function that prints a line, beside its input unless the input is `alone`; a problem goes to standard error,
    but in JSON lines to standard output."""
    as_csv = CsvTable(alone=alone)

    def print_line(line: Line) -> None:
        if form == "jsonl":
            click.echo(line.encode(), nl=False)
        elif line.problem is not None:
            print_problem(line)
        elif form == "csv":
            as_csv.print(line)
        else:
            _print_text(line, answer, alone=alone)

    return print_line


def print_problem(line: Line) -> None:
    """Print the problem of an input to standard error."""
    assert line.problem is not None
    click.echo(f"input {line.index}, {line.input!r}: {line.problem['detail']}", err=True)


def print_stream(stream: "Stream[Any] | ForecastStream[Any]", answer: AnswerKind | None) -> None:
    """Print the tokens or rows of one input as they come."""
    rows = StreamedRows()
    for item in stream:
        if isinstance(item, ForecastRows):
            click.echo("\n".join(rows.lines(item)))
        else:
            click.echo(item.text, nl=False)
    if answer == "tokens":
        click.echo()
        _print_unsure(stream.result().to_dict())


def _print_text(line: Line, answer: AnswerKind | None, *, alone: bool) -> None:
    assert line.result is not None
    if answer == "values":
        rows = [*([] if alone else [line.input]), *aligned(table(line.result))]
        click.echo("\n".join(rows))
        return
    first, *more = _rows(line.result, answer)
    click.echo(first if alone else f"{first}\t{line.input}")
    for row in more:
        click.echo(f"  {row}")
    _print_unsure(line.result, "" if alone else f"{line.input!r}: ")


def _print_unsure(result: dict[str, Any], name: str = "") -> None:
    if result.get("unsure"):
        click.echo(f"{name}the model is unsure: confidence {result['confidence']:.2f}", err=True)


def _rows(result: dict[str, Any], answer: Literal["label", "tokens", "tags", "state"] | None) -> list[str]:
    match answer:
        case "label":
            return [f"{result['label']}\t{result['score']:.4f}"]
        case "tokens":
            others = [item["text"] for item in result.get("hypotheses", [])[1:]]
            next_tokens = [f"{item['probability']:.4f}\t{item['text']}" for item in result.get("next", [])]
            return [result["text"], *others, *next_tokens]
        case "tags":
            words = " ".join(f"{word['text']}/{word['label']}" for word in result["tags"])
            return [
                words,
                *(f"{span['label']}\t{span['score']:.4f}\t{span['text']}" for span in result.get("spans", [])),
            ]
        case "state":
            return [" ".join(f"{item:.6g}" for item in result["embedding"])]
        case None:
            return [json.dumps(result, ensure_ascii=False)]
        case _:
            assert_never(answer)
