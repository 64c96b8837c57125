"""The end of an import: what was understood and taken, an answer, and the command that serves the version."""

import json
import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from app.cli.example_input import example_of, given_input
from app.cli.in_process import answers
from app.errors import InputError
from app.importers.importing import Conversion, publish
from app.importers.questions import describe
from app.tasks.registry import BY_NAME

_MOST_SHOWN = 300  # characters of an answer


def show(conversion: Conversion) -> None:
    """The layout, what was understood, and where each value is from."""
    click.echo(f"layout: {conversion.layout.name}, {conversion.layout.source}")
    click.echo(describe(conversion.understanding), nl=False)
    click.echo(f"network: {conversion.manifest.architecture.describe()}")
    for found in conversion.found:
        click.echo(f"found: {found}")
    for key, value in conversion.options.given.items():
        click.echo(f"{key}: {value}")
    for usual in conversion.usual:
        click.echo(f"usual: {usual}")


def end_of_import(conversion: Conversion, store: Path, folder: Path | None, trial: str | None) -> None:
    """An answer of the version, and what to do next. `folder` is where it was written."""
    show_answer(conversion, folder, trial)
    if folder is None:
        click.echo("nothing was written")
        return
    click.echo(f"wrote {folder}; try it:")
    click.echo(f"  unroll serve --store {shlex.quote(str(store))}")
    click.echo(f"  {request_line(conversion)}")


def show_answer(conversion: Conversion, folder: Path | None, trial: str | None) -> None:
    """Answer an input with the version. Raises StoreError if it cannot be served."""
    try:
        click.echo(_answer(conversion, folder, trial))
    except InputError as error:
        click.echo(f"no answer: {error.detail}")


def _answer(conversion: Conversion, folder: Path | None, trial: str | None) -> str:
    given, words = example_of(conversion) if trial is None else given_input(conversion.manifest, trial)
    if folder is not None:
        ((result,),) = answers([folder], [given])
    else:
        with tempfile.TemporaryDirectory(prefix="unroll-try-") as name:
            ((result,),) = answers([publish(conversion, Path(name))], [given])
    return f"answer to {words}: {shown(result)}"


def shown(result: Mapping[str, Any]) -> str:
    """A result in one line."""
    kept = {key: value for key, value in result.items() if key in _KEPT} or result
    text = json.dumps(kept, ensure_ascii=False)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


_KEPT = ("label", "scores", "text", "tags", "values", "rows", "forecast", "targets", "steps")


def request_line(conversion: Conversion, url: str | None = None) -> str:
    """A command that sends an input to the model."""
    manifest = conversion.manifest
    task = BY_NAME[manifest.task]
    model = f"--model {manifest.name}" + (f" --url {shlex.quote(url)}" if url else "")
    match manifest.source:
        case "text":
            given, _ = example_of(conversion)
            return f"unroll ask {task.verb} {shlex.quote(given)} {model}"
        case _:
            return f"unroll ask {task.verb} FILE {model}"
