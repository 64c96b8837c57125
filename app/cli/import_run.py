"""Runs `unroll import`, whose options are in `app.cli.import_checkpoint`."""

import json
import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from app.cli.import_ending import end_of_import, request_line, show, show_answer, show_doubts
from app.cli.import_line import command_line
from app.cli.import_readings import show_readings
from app.cli.into import next_version, send_version
from app.cli.messages import errors_as_messages
from app.cli.prompts import answered
from app.errors import ImportFailed, StoreError, UnrollError, printable
from app.importers.checkpoint import Checkpoint
from app.importers.importing import Conversion, convert, publish, read_checkpoint
from app.importers.labels import read_labels
from app.importers.questions import QuestionsOpen
from app.importers.recognition import UnknownStructure
from app.importers.request import ImportRequest
from app.importers.skeleton import skeleton_of
from app.importers.vocabularies import BUILT_IN
from app.store.listing import newest_version
from app.store.publishing import check_is_free, remove_version
from app.tasks.registry import CHECKS

log = logging.getLogger("unroll.import")


@contextmanager
def _faults_as_messages() -> Iterator[None]:
    """A fault of ours ends the command with a message, too: the files are foreign, and may hold anything."""
    try:
        yield
    except (UnrollError, click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except Exception as error:
        log.debug("import failed", exc_info=True)
        raise ImportFailed(
            f"this import ends in a fault of Unroll, {type(error).__name__}: {printable(str(error))}. Please report it "
            "with the output of the same command and --write-mapping FILE, which lists the keys of your files"
        ) from error


def run_import(context: click.Context, parameters: Mapping[str, Any]) -> None:
    """Import the checkpoint that the options name. Raises click.ClickException."""
    with errors_as_messages(), _faults_as_messages():
        _import(context, parameters)


def _import(context: click.Context, parameters: Mapping[str, Any]) -> None:
    store, dry_run, into = parameters["store"], parameters["dry_run"], parameters["into"]
    request = _request(parameters)
    if not dry_run and into is None:
        check_is_free(store, request.name, request.version)  # before minutes of reading
    checkpoint = read_checkpoint(request)
    if parameters["write_mapping"]:
        _write_mapping(checkpoint, parameters["write_mapping"])
        return
    try:
        conversion = _converted(checkpoint, request, parameters)
    except QuestionsOpen as questions:
        given = [name for name in parameters if _is_given(context, name)]
        if parameters["trial"]:
            show_readings(checkpoint, request, parameters["trial"])
        line = command_line(parameters, given, questions.arguments)
        raise click.ClickException(
            f"{questions.detail}\nthe whole command with the usual values; replace what is wrong:\n  {line}"
        ) from questions
    except UnknownStructure as unknown:
        raise click.ClickException(f"{unknown.detail}\n{json.dumps(unknown.skeleton, indent=2)}") from unknown
    show(conversion)
    if parameters["trial"] and conversion.usual:
        show_readings(checkpoint, request, parameters["trial"])
    _check_task(conversion)
    if into is not None and not dry_run:
        _send(conversion, parameters)
        return
    folder = None if dry_run else publish(conversion, store)
    try:
        end_of_import(conversion, store, folder, parameters["trial"])
    except StoreError:
        if folder is not None:
            remove_version(folder)
        raise


def _send(conversion: Conversion, parameters: Mapping[str, Any]) -> None:
    """Answer the version here first: a service would refuse a broken one, too."""
    with tempfile.TemporaryDirectory(prefix="unroll-into-") as name:
        folder = publish(conversion, Path(name))
        show_answer(conversion, folder, parameters["trial"])
        show_doubts(conversion)
        send_version(folder, parameters["into"], parameters["key"])
    click.echo(f"try it:\n  {request_line(conversion, parameters['trial'], parameters['into'])}")


def _check_task(conversion: Conversion) -> None:
    manifest = conversion.manifest
    check = CHECKS.get(manifest.task)
    if check is None:
        raise ImportFailed(f"there is no task {manifest.task}; the tasks are {', '.join(CHECKS)}")
    check(manifest)


def _converted(checkpoint: Checkpoint, request: ImportRequest, parameters: Mapping[str, Any]) -> Conversion:
    while True:
        try:
            return convert(checkpoint, request)
        except QuestionsOpen as questions:
            if not parameters["interactive"]:
                raise
            request = answered(request, questions)


def _is_given(context: click.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _request(parameters: Mapping[str, Any]) -> ImportRequest:
    name, task = parameters["name"], parameters["task"]
    if task is not None and task not in CHECKS:
        raise ImportFailed(f"there is no task {task}; the tasks are {', '.join(CHECKS)}")
    source, _, target = parameters["languages"].partition(",")
    return ImportRequest(
        name=name,
        checkpoints=parameters["checkpoints"],
        vocabularies=[_vocabulary(value) for value in parameters["vocabularies"]],
        layout=parameters["layout"],
        settings=dict(_setting(value) for value in parameters["settings"]),
        accept_usual=parameters["usual"],
        labels=read_labels(parameters["labels"]),
        features=_names(parameters["features"]),
        targets=_names(parameters["targets"]),
        scalers=[_scaler(value) for value in parameters["scalers"]],
        task=task,
        default=parameters["default"],
        version=parameters["version"] or _next_version(parameters),
        languages=(source or None, target or None),
        licence=parameters["licence"],
    )


def _next_version(parameters: Mapping[str, Any]) -> int:
    name, into = parameters["name"], parameters["into"]
    if into is not None and not parameters["dry_run"]:
        return next_version(into, parameters["key"], name)
    return 1 + newest_version(parameters["store"], name)


def _write_mapping(checkpoint: Checkpoint, path: Path) -> None:
    skeleton = skeleton_of(checkpoint)
    try:
        path.write_text(json.dumps(skeleton, indent=2) + "\n", encoding="utf8")
    except OSError as error:
        raise ImportFailed(f"{path} cannot be written: {error.strerror}") from error
    click.echo(
        f"wrote {path} with {len(skeleton['keys'])} keys; fill in `parts`, then import with --layout "
        f"{skeleton['layout']} --set mapping={path}"
    )


def _vocabulary(value: str) -> tuple[Any, Path]:
    role, equals, file = value.partition("=")
    if not equals or Path(value).is_file():
        role, file = "", value
    if role not in ("", "source", "target"):
        raise click.BadParameter(f"{value} has the role {role}; use source=FILE or target=FILE", param_hint="--vocab")
    path = Path(file)
    if not path.is_file() and file not in BUILT_IN:
        raise click.BadParameter(f"{file} is not a file", param_hint="--vocab")
    return role or None, path


def _setting(value: str) -> tuple[str, str]:
    key, equals, answer = value.partition("=")
    if not equals:
        raise click.BadParameter(f"{value} has no value; use KEY=VALUE", param_hint="--set")
    return key, answer


def _scaler(value: str) -> tuple[str | None, str]:
    role, equals, scaler = value.partition("=")
    return (role, scaler) if equals and role in ("features", "targets") else (None, value)


def _names(value: str) -> list[str]:
    return read_labels(value)
