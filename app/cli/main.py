"""The command `unroll`."""

import json
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, get_args

import click
import uvicorn
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from app.api.access.keys import Key, Role, hash_of, new_token
from app.cli.ask.command import ask
from app.errors import StoreUnreachable, UnrollError
from app.logs import set_up_logging
from app.main import VERSION, bring_up_to_date, create_app, open_guard, open_store, start_engines
from app.settings import Settings, is_local
from app.store.model_store import newest_version, read_store, version_folders
from app.store.publishing import remove_version
from app.tasks.catalog import entry_of
from app.workers import FrontEnd, eager, run_workers, web_config

Command = TypeVar("Command", bound=Callable[..., Any])
_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


def _settings_options(command: Command) -> Command:
    """One option for each setting, so that command line, environment and docs cannot drift apart."""
    for name, field in reversed(Settings.model_fields.items()):
        option = f"--{name.replace('_', '-')}"
        command = click.option(
            f"{option}/--no-{option[2:]}" if field.annotation is bool else option,
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
    types: dict[Any, click.ParamType[Any]] = {
        bool: click.BOOL,
        int: click.INT,
        float: click.FLOAT,
        Path: click.Path(path_type=Path),
    }
    return types.get(field.annotation, click.STRING)


@click.group()
@click.version_option(VERSION, prog_name="unroll")
def main() -> None:
    """Serve trained recurrent networks over REST."""


main.add_command(ask)


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
    with _as_click_errors():
        open_guard(settings)
    who = _who_may(settings)
    set_up_logging(settings.log_level, settings.log_format)
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        raise click.ClickException(
            "no folder for temporary files can be written to, where the processes meet: mount one in a container whose "
            "root is read-only (--tmpfs /tmp), or name one in TMPDIR"
        ) from None
    try:
        source = open_store(settings)
        bring_up_to_date(source)
    except StoreUnreachable as error:
        raise click.BadParameter(error.detail, param_hint="--store") from error
    if not source.root.is_dir():
        raise click.BadParameter(f"the model store {settings.store} is not a folder", param_hint="--store")
    listener = _listen(settings)
    host, port = listener.getsockname()[:2]
    click.echo(who)
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


def _who_may(settings: Settings) -> str:
    """Who is answered, in words. Raises BadParameter when that would be everybody, and nobody said so."""
    if settings.needs_keys:
        return "Every request needs a key."
    keys = "The tasks need no key, only administration does" if settings.read_admin_key() else "No keys are set"
    if is_local(settings.host):
        return f"{keys}: who is on this machine is answered, and nobody else reaches it."
    if not settings.open:
        raise click.BadParameter(
            f"{settings.host} can be reached by others, and the tasks need no key: `unroll key new` makes one for "
            "--api-keys-file; --open answers everybody",
            param_hint="--host",
        )
    return f"{keys}, and {settings.host} can be reached by others: EVERYBODY who reaches it is answered."


def _listen(settings: Settings) -> socket.socket:
    try:
        return uvicorn.Config("", host=settings.host, port=settings.port, log_config=None).bind_socket()
    except SystemExit:
        raise click.ClickException(f"cannot listen on {settings.host}:{settings.port}; choose another --port") from None


@main.group()
def key() -> None:
    """Keys of those who may use the service."""


@key.command(name="new")
@click.option("--name", required=True, help="Whose key it is; told in no answer.")
@click.option("--role", type=click.Choice([*map(str, Role)]), default="user", show_default=True, help="What it is for.")
@click.option("--rate-limit", help="Requests to the tasks that it may send, such as 10/second; instead of the setting.")
@click.option("--concurrent-inputs", type=int, help="Inputs that it may have at the same time; instead of the setting.")
@click.option("--json", "as_json", is_flag=True, help="The entry in JSON, not in TOML.")
def new_key(name: str, role: str, rate_limit: str | None, concurrent_inputs: int | None, as_json: bool) -> None:
    """Make a key: shown once, on standard error. Its entry, with the hash, goes to standard output:

    unroll key new --name alice >> keys.toml
    """
    token = new_token()
    limits = {"rate_limit": rate_limit, "concurrent_inputs": concurrent_inputs}
    try:
        entry = Key.model_validate({"name": name, "hash": hash_of(token.encode()), "role": role, **limits})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        member = str(first["loc"][0])
        message = "1 to 64 letters, digits and any of _ . @ -" if member == "name" else first["msg"]
        raise click.BadParameter(message, param_hint=f"--{member.replace('_', '-')}") from None
    click.echo(f"The key of {name}, which is shown this once: {token}", err=True)
    members = entry.model_dump(mode="json", exclude_none=True)
    if as_json:
        click.echo(json.dumps(members, ensure_ascii=False))
    else:  # a name, a hash, a role and a rate have nothing that TOML would write in another way than JSON
        lines = [f"{member} = {json.dumps(value, ensure_ascii=False)}" for member, value in members.items()]
        click.echo("\n".join(["[[keys]]", *lines, ""]))


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


@main.command()
@click.argument("name")
@click.option("--store", type=_FOLDER, default=Path("model_store"), show_default=True)
def show(name: str, store: Path) -> None:
    """Show the versions of a model: what they are, what they take, how good they are."""
    mine = [version.manifest for version in read_store(store).versions if version.manifest.name == name]
    if not mine:
        raise click.ClickException(f"{store} has no usable version of {name}; `unroll list` shows what it has")
    for manifest in mine:
        click.echo(manifest.model_dump_json(indent=2, exclude_none=True, exclude_defaults=True))


@main.command()
@click.argument("name", required=False)
@click.option("--store", type=_FOLDER, default=Path("model_store"), show_default=True)
def verify(name: str | None, store: Path) -> None:
    """Check versions as an engine would: hashes, shapes, and one small inference. Exit status 1 if one is broken."""
    import torch

    from app.engine.runner import Runner

    contents = read_store(store)
    broken = {version.key: version.reason for version in contents.broken if name in (None, version.name)}
    sound = [version for version in contents.versions if name in (None, version.manifest.name)]
    if not broken and not sound:
        raise click.ClickException(f"{store} has no version of {name or 'anything'}")
    for version in sound:
        try:
            entry_of(version)
            Runner(torch.device("cpu"), slots=2).load(version)
        except UnrollError as error:
            broken[version.manifest.key] = error.detail
        else:
            click.echo(f"{version.manifest.key}\tsound")
    for key, reason in sorted(broken.items()):
        click.echo(f"{key}\tbroken: {reason}")
    if broken:
        raise click.exceptions.Exit(1)


@main.command()
@click.argument("name")
@click.argument("version", type=click.IntRange(min=1))
@click.option("--store", type=_FOLDER, default=Path("model_store"), show_default=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(name: str, version: int, store: Path, yes: bool) -> None:
    """Remove a version from the store. Unload it first where it is served."""
    folder = version_folders(store).get(f"{name}/{version}")
    if folder is None:
        raise click.ClickException(f"{store} has no {name}/{version}; `unroll list` shows what it has")
    if not yes:
        click.confirm(f"Remove {folder} with all its files?", abort=True)
    remove_version(folder)
    click.echo(f"removed {folder}")


@main.command(name="import")
@click.option("--name", required=True, help="What the model is called in the store.")
@click.option("--checkpoint", "checkpoints", multiple=True, required=True, type=_FILE, help="A file with weights.")
@click.option("--vocab", "vocabularies", multiple=True, help="[source=|target=]FILE with the words, word 0 first.")
@click.option("--layout", help="One of `unroll layouts`; needed only where several fit.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="What the files do not tell.")
@click.option("--usual", is_flag=True, help="Take what is usual for all that is not set.")
@click.option("--labels", default="", help="Names of the labels in their order: negative,positive")
@click.option("--languages", default="", help="Source and target language, en,ko, or one of them: de, ,en")
@click.option("--store", type=click.Path(path_type=Path), default=Path("model_store"), show_default=True)
@click.option("--version", "version", type=click.IntRange(min=1), help="Default: one more than the newest.")
@click.option("--licence", default="unknown", show_default=True, help="Terms of the weights.")
@click.option("--dry-run", is_flag=True, help="Only say what was understood.")
def import_(
    name: str,
    checkpoints: tuple[Path, ...],
    vocabularies: tuple[str, ...],
    layout: str | None,
    settings: tuple[str, ...],
    usual: bool,
    labels: str,
    languages: str,
    store: Path,
    version: int | None,
    licence: str,
    dry_run: bool,
) -> None:
    """Put a checkpoint of a well-known public repository into the store, without running a byte of code from it."""
    from app.importers.importing import ImportRequest, convert_checkpoint, import_checkpoint

    source, _, target = languages.partition(",")
    request = ImportRequest(
        name=name,
        checkpoints=checkpoints,
        vocabularies=[_vocabulary(value) for value in vocabularies],
        layout=layout,
        settings=dict(_setting(value) for value in settings),
        accept_usual=usual,
        labels=[label.strip() for label in labels.split(",") if label.strip()],
        version=version or 1 + newest_version(store, name),
        languages=(source or None, target or None),
        licence=licence,
    )
    with _as_click_errors():
        if dry_run:
            conversion = convert_checkpoint(request)
        else:
            conversion, folder = import_checkpoint(request, store)
        click.echo(f"layout: {conversion.layout.name}, {conversion.layout.source}")
        click.echo(f"network: {conversion.manifest.architecture.describe()}")
        for key, value in conversion.options.given.items():
            click.echo(f"{key}: {value}")
        click.echo("nothing was written" if dry_run else f"wrote {folder}; try it: unroll serve --store {store}")


@main.command()
def layouts() -> None:
    """List the layouts of checkpoints that `unroll import` knows."""
    from app.importers.layouts import LAYOUTS

    for layout in LAYOUTS.values():
        click.echo(f"{layout.name}\t{layout.source}\tvocabularies: {', '.join(layout.vocabularies)}")


def _vocabulary(value: str) -> tuple[Any, Path]:
    role, equals, file = value.partition("=")
    if not equals:
        role, file = "", value
    if role not in ("", "source", "target"):
        raise click.BadParameter(f"{value}: the role is source or target", param_hint="--vocab")
    path = Path(file)
    if not path.is_file():
        raise click.BadParameter(f"there is no file {file}", param_hint="--vocab")
    return role or None, path


def _setting(value: str) -> tuple[str, str]:
    key, equals, answer = value.partition("=")
    if not equals:
        raise click.BadParameter(f"{value}: KEY=VALUE is wanted", param_hint="--set")
    return key, answer


@contextmanager
def _as_click_errors() -> Iterator[None]:
    """What goes wrong as a message, without a traceback."""
    try:
        yield
    except UnrollError as error:
        raise click.ClickException(error.detail) from error
