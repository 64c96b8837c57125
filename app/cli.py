"""The command `unroll`."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, get_args

import click
import uvicorn
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from app.errors import StoreUnreachable
from app.main import VERSION, create_app, open_store, set_up_logging, start_engines
from app.settings import Settings
from app.store.model_store import read_store
from app.workers import FrontEnd, eager, run_workers, web_config

Command = TypeVar("Command", bound=Callable[..., Any])


def _settings_options(command: Command) -> Command:
    """One option for each setting, so that command line, environment and docs cannot drift apart."""
    for name, field in reversed(Settings.model_fields.items()):
        command = click.option(
            f"--{name.replace('_', '-')}",
            name,
            type=_click_type(field),
            default=None,
            help=f"{field.description} [{'default: ' + str(field.default)}; env: UNROLL_{name.upper()}]",
        )(command)
    return command


def _click_type(field: FieldInfo) -> click.ParamType[Any]:
    choices = get_args(field.annotation)
    if choices and all(isinstance(choice, str) for choice in choices):
        return click.Choice(choices)
    types: dict[Any, click.ParamType[Any]] = {int: click.INT, float: click.FLOAT, Path: click.Path(path_type=Path)}
    return types.get(field.annotation, click.STRING)


@click.group()
@click.version_option(VERSION, prog_name="unroll")
def main() -> None:
    """Serve trained recurrent networks over REST."""


@main.command()
@_settings_options
def serve(**given: Any) -> None:
    """Serve the model store over HTTP until SIGTERM or Ctrl-C, which lets running requests end first.

    An option wins over the environment, the environment over the default.
    """
    try:
        settings = Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        raise click.BadParameter(f"{first['loc'][0]}: {first['msg']}") from error
    try:
        settings.read_admin_key()
    except OSError as error:
        raise click.BadParameter(f"cannot be read: {error.strerror}", param_hint="--admin-key-file") from error
    set_up_logging(settings.log_level)
    try:
        source = open_store(settings)
        source.update()
    except StoreUnreachable as error:
        raise click.BadParameter(error.detail, param_hint="--store") from error
    if not source.root.is_dir():
        raise click.BadParameter(f"the model store {settings.store} is not a folder", param_hint="--store")
    listener = _listen(settings)
    host, port = listener.getsockname()[:2]
    click.echo(f"Unroll {VERSION} on http://{host}:{port} - try /, /docs and /readyz; engines are starting")
    engines = start_engines(settings, source)
    try:
        if settings.workers == 1:
            app = create_app(settings, engines=engines.endpoints, board=engines.folder)
            FrontEnd(web_config(app, settings)).run(eager(listener))
        else:
            run_workers(settings, engines.endpoints, engines.folder, listener)
    finally:
        engines.stop()


def _listen(settings: Settings) -> socket.socket:
    try:
        return uvicorn.Config("", host=settings.host, port=settings.port, log_level="warning").bind_socket()
    except SystemExit:
        raise click.ClickException(f"cannot listen on {settings.host}:{settings.port}; choose another --port") from None


@main.command(name="list")
@click.option("--store", type=click.Path(path_type=Path, exists=True), default=Path("model_store"), show_default=True)
def list_models(store: Path) -> None:
    """List the versions in a model store, the broken ones with the reason."""
    contents = read_store(store)
    for version in contents.versions:
        manifest = version.manifest
        size = f"{manifest.bytes / 1e6:.1f} MB"
        click.echo(
            f"{manifest.key}\t{manifest.task}\t{','.join(manifest.languages)}\t{size}\t{manifest.architecture.describe()}"
        )
    for broken in contents.broken:
        click.echo(f"{broken.key}\tbroken: {broken.reason}")
