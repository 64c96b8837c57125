"""Readings of a file that fit it equally well, run on one input, so that the user sees which is right."""

import dataclasses
import tempfile
from pathlib import Path

import click

from app.cli.example_input import given_input
from app.cli.import_ending import shown
from app.cli.in_process import answers
from app.errors import UnrollError
from app.importers.checkpoint import Checkpoint
from app.importers.importing import Conversion, convert, publish
from app.importers.questions import QuestionsOpen
from app.importers.request import ImportRequest

_MOST_READINGS = 12


def show_readings(checkpoint: Checkpoint, request: ImportRequest, trial: str) -> None:
    """For each open option with several readings, the answer by each; the other options have their usual values."""
    usual = dataclasses.replace(request, accept_usual=True)
    try:
        first = convert(checkpoint, usual)
    except QuestionsOpen as questions:
        missing = ", ".join(question.subject for question in questions.questions)
        click.echo(f"--try needs more first: {missing}")
        return
    given, words = given_input(first.manifest, trial)
    readings = [
        (option.name, value)
        for option in first.layout.options(checkpoint)
        if option.name not in request.settings
        for value in option.readings
    ][:_MOST_READINGS]
    if not readings:
        return
    click.echo(f"answers to {words} by each reading that fits the file:")
    with tempfile.TemporaryDirectory(prefix="unroll-try-") as name:
        for option, value in readings:
            changed = dataclasses.replace(usual, settings={**usual.settings, option: value})
            click.echo(f"  --set {option}={value}: {_answer(checkpoint, changed, given, Path(name) / option / value)}")


def _answer(checkpoint: Checkpoint, request: ImportRequest, given: object, store: Path) -> str:
    try:
        conversion: Conversion = convert(checkpoint, request)
        ((result,),) = answers([publish(conversion, store)], [given])
    except UnrollError as error:
        return f"no answer: {error.detail}"
    return shown(result)
