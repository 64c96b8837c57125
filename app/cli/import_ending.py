"""The end of an import: what was understood and taken, an answer, and the command that serves the version."""

import json
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, assert_never

import click

from app.cli.example_input import example_of, given_input
from app.cli.in_process import answers
from app.cli.program import program
from app.errors import InputError
from app.importers.importing import Conversion, publish
from app.importers.questions import describe
from app.store.manifest import Manifest
from app.tasks.registry import BY_NAME
from app.tasks.sources.raw_series import JsonSeries

_MOST_SHOWN = 300  # characters of an answer
_HERE = "http://127.0.0.1:8000"  # where `unroll serve` listens
_EXAMPLES = {"image": "example.webp", "frames": "example-clip.webp"}


def show(conversion: Conversion) -> None:
    """The layout, what was understood, and where each value is from."""
    click.echo(f"layout: {conversion.layout.name}, {conversion.layout.source}")
    click.echo(describe(conversion.understanding), nl=False)
    click.echo(f"network: {conversion.manifest.architecture.describe()}")
    for found in conversion.found:
        click.echo(f"found: {found}")
    values = conversion.options.given
    for key, value in values.items():
        if key not in (*conversion.assumed, *conversion.idle) and f"--set {key}={value}" not in conversion.usual:
            click.echo(f"{key}: {value}")
    if conversion.assumed:
        click.echo("assumed: " + ", ".join(f"{key}={values[key]}" for key in conversion.assumed))
    for usual in conversion.usual:
        click.echo(f"usual: {usual}")


def show_doubts(conversion: Conversion) -> None:
    """What the import took without knowing it."""
    usual = ", ".join(value.removeprefix("--set ").removeprefix("--") for value in conversion.usual)
    guesses = [*conversion.doubts, *([f"taken as usual: {usual}"] if usual else [])]
    if guesses:
        click.secho("check these: each was guessed, and a wrong guess gives wrong answers and no error", fg="yellow")
        for guess in guesses:
            click.secho(f"  - {guess}", fg="yellow")


def end_of_import(conversion: Conversion, store: Path, folder: Path | None, trial: str | None) -> None:
    """An answer of the version, and what to do next. `folder` is where it was written."""
    show_answer(conversion, folder, trial)
    show_doubts(conversion)
    if folder is None:
        click.echo("nothing was written")
        return
    click.echo(f"wrote {folder}; try it:")
    click.echo(f"  {program()} serve --store {shlex.quote(str(store))}")
    click.echo(f"  {request_line(conversion, trial)}")


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
    text = json.dumps(_rounded(kept), ensure_ascii=False)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value


_KEPT = ("label", "scores", "text", "tags", "values", "rows", "forecast", "targets", "steps")


def request_line(conversion: Conversion, trial: str | None = None, url: str | None = None) -> str:
    """A command that sends an input to the model: that of `--try`, or an example."""
    manifest = conversion.manifest
    verb = BY_NAME[manifest.task].verb
    model = f"--model {manifest.name}" + (f" --url {shlex.quote(url)}" if url else "")
    match manifest.source:
        case "text":
            given = example_of(conversion)[0] if trial is None or trial.startswith("-") else trial
        case "series":
            if trial is None or verb != "forecast" or not Path(trial).is_file():
                return _series_line(manifest, _rows(conversion, trial), verb, model, url or _HERE)
            given = trial
        case "image" | "frames":
            given = trial or str(files("app.web").joinpath(f"static/{_EXAMPLES[manifest.source]}"))
        case _:
            assert_never(manifest.source)
    return f"{program()} ask {verb} {shlex.quote(given)} {model}"


def _rows(conversion: Conversion, trial: str | None) -> Sequence[Sequence[float]]:
    """Rows of the input of `--try` where it lists them, or those of an example."""
    series = given_input(conversion.manifest, trial)[0] if trial is not None else None
    rows = series.value if isinstance(series, JsonSeries) else None
    if not isinstance(rows, list) or None in rows:
        rows = example_of(conversion)[0].value
    listed: list[list[float]] = [row if isinstance(row, list) else [row] for row in rows]
    return listed


def _series_line(manifest: Manifest, rows: Sequence[Sequence[float]], verb: str, model: str, url: str) -> str:
    """A CSV for a forecast; JSON for a label, since the inputs of that task may be of other kinds."""
    assert manifest.series is not None
    rounded = [[float(f"{number:.6g}") for number in row] for row in rows]
    if verb != "forecast":
        body = json.dumps({"model": manifest.name, "inputs": rounded})
        return f"curl {url.rstrip('/')}/v1/{verb} -H 'Content-Type: application/json' -d {shlex.quote(body)}"
    names = [feature.name for feature in manifest.series.features]
    lines = [",".join(names), *(",".join(f"{number:g}" for number in row) for row in rounded)]
    return f"printf '%s\\n' {shlex.join(lines)} | {program()} ask forecast - {model}"
