"""A service that `unroll serve` runs."""

import gc
import socket

import click
import uvicorn

from app.cli.messages import errors_as_messages
from app.cli.store_option import HOW_TO_GET_MODELS
from app.engine.forking import EngineTemplate
from app.engines import bring_up_to_date, open_store, start_engines
from app.errors import StoreUnreachable
from app.log_output import LOG_OUTPUT
from app.logs import set_up_logging
from app.main import create_app, open_guard, open_sessions
from app.server.connections import raise_file_limit
from app.server.front_end import FrontEnd
from app.settings import Settings, is_local
from app.store.stores import Store
from app.temporary_folder import check_temporary_folder
from app.version import VERSION
from app.workers import run_workers


def run_service(settings: Settings, template: EngineTemplate | None) -> None:
    """Serve until SIGTERM or Ctrl-C. Engines on a CPU are forks of `template`. Raises ClickException."""
    with errors_as_messages():
        open_guard(settings)
        open_sessions(settings)
    reach = _reach(settings)
    set_up_logging(settings.log_level, settings.log_format)
    raise_file_limit()
    with errors_as_messages():
        check_temporary_folder()
    source = _source(settings)
    listener = _listen(settings)
    LOG_OUTPUT.flush()  # the address stands last
    click.echo(reach)
    click.echo(f"Unroll {VERSION} on {_url(listener)} - try /, /docs and /readyz; engines are starting")
    engines = start_engines(settings, source, template)
    try:
        if settings.workers == 1:
            app = create_app(settings, engines=engines.endpoints, service_folder=engines.folder)
            FrontEnd(app).run([listener])
        else:
            gc.enable()
            run_workers(settings, engines.endpoints, engines.folder, listener)
    finally:
        engines.stop()


def _reach(settings: Settings) -> str:
    """Who can use the service. Raises BadParameter when everyone could, and `open` is not set."""
    if settings.needs_keys:
        return "Every request needs a key."
    keys = "only administration needs a key" if settings.read_admin_key() else "no keys are set"
    if is_local(settings.host):
        return f"Listening on {settings.host} only; {keys}."
    if not settings.open:
        raise click.BadParameter(
            f"other machines can reach {settings.host}, and the tasks need no key. Make a key for --api-keys-file with "
            "`unroll key new`, or allow everyone with --open",
            param_hint="--host",
        )
    return f"WARNING: other machines can reach {settings.host}, and {keys}: everyone can use the tasks."


def _source(settings: Settings) -> Store:
    try:
        source = open_store(settings)
        bring_up_to_date(source)
    except StoreUnreachable as error:
        raise click.BadParameter(error.detail, param_hint="--store") from error
    if not source.listing().folders:
        click.echo(f"The model store {settings.store} has no model: {HOW_TO_GET_MODELS}", err=True)
    return source


def _listen(settings: Settings) -> socket.socket:
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise click.BadParameter(
            f"{settings.host} is no address of this machine, such as 127.0.0.1 or ::1", param_hint="--host"
        ) from None
    *_, address = min(found, key=lambda item: item[0] is not socket.AF_INET)  # IPv4 first
    try:
        return uvicorn.Config("", host=str(address[0]), port=settings.port, log_config=None).bind_socket()
    except SystemExit:
        raise click.ClickException(
            f"cannot listen on {settings.host}, port {settings.port}; choose another --port or --host"
        ) from None


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if listener.family is socket.AF_INET6 else f"http://{host}:{port}"
