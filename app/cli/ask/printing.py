"""Answers for people."""

from typing import Any

import click

from app.cli.ask.lines import Line


def show(line: Line, *, alone: bool) -> None:
    """Print an answer, with its input beside it unless that is `alone`; a problem goes to standard error."""
    if line.problem is not None:
        click.echo(f"input {line.index}, {line.input!r}: {line.problem['detail']}", err=True)
        return
    assert line.result is not None
    click.echo(_said(line.result) if alone else f"{_said(line.result)}\t{line.input}")
    for item in line.result.get("hypotheses", [])[1:]:
        click.echo(f"  {item['text']}")
    for item in line.result.get("next", []):
        click.echo(f"  {item['probability']:.4f}\t{item['text']}")


def _said(result: dict[str, Any]) -> str:
    if "label" in result:
        return f"{result['label']}\t{result['score']:.4f}"
    return str(result["text"])
