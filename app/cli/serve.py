"""The options of `unroll serve`; `app.cli.serving` runs it."""

import gc
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from app.cli.settings_options import GroupedCommand, settings_options
from app.cli.store_option import HOW_TO_GET_MODELS
from app.settings import Settings
from app.store.names import is_url


@click.command(cls=GroupedCommand)
@settings_options
def serve(**options: Any) -> None:
    """Serve the model store over HTTP until SIGTERM or Ctrl-C.

    Running requests end first. An option overrides the environment, and the environment overrides the default.
    """
    gc.disable()  # imports leave no garbage, and searching them for it takes a seventh of the start
    settings = _settings(options)
    if not is_url(settings.store) and not Path(settings.store).is_dir():  # before imports of seconds
        raise click.BadParameter(f"{settings.store} is not a folder; {HOW_TO_GET_MODELS}", param_hint="--store")
    from app.engine.forking import template_for  # not for --help

    template = template_for(settings.devices, settings.threads)
    try:
        from app.cli.serving import run_service  # while the template imports torch

        run_service(settings, template)
    finally:
        if template is not None:
            template.close()


def _settings(options: dict[str, Any]) -> Settings:
    try:
        return Settings(**{name: value for name, value in options.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        raise click.BadParameter(f"{first['loc'][0]}: {first['msg']}") from error
