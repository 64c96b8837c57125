"""Errors of the service as messages of a command."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from app.errors import UnrollError


@contextmanager
def errors_as_messages() -> Iterator[None]:
    """An UnrollError ends the command with its message, without a traceback."""
    try:
        yield
    except UnrollError as error:
        raise click.ClickException(error.detail) from error
