"""Answers on a terminal, by the kind of the answer."""

import json
from typing import Any, assert_never

import click
from unroll_client.results import AnswerKind

from app.cli.ask.output_file import Line


def print_line(line: Line, answer: AnswerKind | None, *, alone: bool) -> None:
    """Print a result, beside its input unless the input is `alone`; a problem goes to standard error."""
    if line.problem is not None:
        click.echo(f"input {line.index}, {line.input!r}: {line.problem['detail']}", err=True)
        return
    assert line.result is not None
    first, *more = _rows(line.result, answer)
    click.echo(first if alone else f"{first}\t{line.input}")
    for row in more:
        click.echo(f"  {row}")


def _rows(result: dict[str, Any], answer: AnswerKind | None) -> list[str]:
    match answer:
        case "label":
            return [f"{result['label']}\t{result['score']:.4f}"]
        case "tokens":
            others = [item["text"] for item in result.get("hypotheses", [])[1:]]
            next_tokens = [f"{item['probability']:.4f}\t{item['text']}" for item in result.get("next", [])]
            return [result["text"], *others, *next_tokens]
        case None:
            return [json.dumps(result, ensure_ascii=False)]
        case _:
            assert_never(answer)
