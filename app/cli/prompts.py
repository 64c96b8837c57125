"""Questions of an import on a terminal."""

import dataclasses
from pathlib import Path
from typing import Any, get_args

import click

from app.errors import ImportFailed
from app.importers.labels import check_labels, read_labels
from app.importers.questions import Question, QuestionsOpen
from app.importers.request import ImportRequest
from app.importers.scalers import scaler_in_words
from app.importers.vocabularies import BUILT_IN, Role


def answered(request: ImportRequest, questions: QuestionsOpen) -> ImportRequest:
    """The request with an answer to each question."""
    click.echo(questions.seen)
    for question in questions.questions:
        if question.idle_where is not None and question.idle_where in request.settings.items():
            continue
        request = _answered(request, question)
    click.echo()
    return dataclasses.replace(request, layout=questions.layout.name)


def _answered(request: ImportRequest, question: Question) -> ImportRequest:
    """The request with an answer that can be right; a wrong one is asked again."""
    while True:
        value = _ask(question)
        try:
            return _with(request, question, question.checked(value) if question.checked is not None else value)
        except (ImportFailed, click.BadParameter) as error:
            click.echo(f"  {error.detail if isinstance(error, ImportFailed) else error.message}")


def _ask(question: Question) -> str:
    click.echo(f"\n{question.subject}: {question.meaning}")
    if question.depends:
        click.echo(f"  {question.depends}")
    closed = question.choices and not any(":" in choice for choice in question.choices)
    kind = click.Choice(list(question.choices)) if closed else click.STRING
    value: str = click.prompt(f"  {question.subject}", default=question.usual, type=kind)
    return value


def _with(request: ImportRequest, question: Question, value: str) -> ImportRequest:
    changes: dict[str, Any]
    match question.flag:
        case "--set":
            changes = {"settings": {**request.settings, question.name: value}}
        case "--vocab":
            role: Role | None = next((role for role in get_args(Role) if role == question.name), None)
            if not Path(value).is_file() and value not in BUILT_IN:
                raise click.BadParameter(f"{value} is not a file", param_hint="--vocab")
            changes = {"vocabularies": [*request.vocabularies, (role, Path(value))]}
        case "--labels":
            labels = read_labels(value)
            check_labels(labels, question.count or len(labels))
            changes = {"labels": labels}
        case "--scaler":
            if scaler_in_words(value) is None and not Path(value).is_file():
                raise click.BadParameter(f"{value} is not a file, nor min-max:MIN,MAX, standard:MEAN,STD or none")
            changes = {"scalers": [*request.scalers, (question.name or None, value)]}
        case _:
            changes = {question.flag.removeprefix("--"): read_labels(value)}
    return dataclasses.replace(request, **changes)
