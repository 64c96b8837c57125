"""The options of `unroll serve`; `app.cli.run_service` runs it."""

from typing import Any

import click

from app.cli.settings_options import GroupedCommand, settings_options


@click.command(cls=GroupedCommand)
@settings_options
def serve(**options: Any) -> None:
    """Serve the model store over HTTP until SIGTERM or Ctrl-C.

    Running requests end first. An option overrides the environment, and the environment overrides the default.
    """
    from app.cli.run_service import run_service

    run_service(options)
