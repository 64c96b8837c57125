"""Runs `unroll verify`, the one command that runs networks in its own process."""

from functools import partial
from pathlib import Path

import click
import torch

from app.engine.loading import failure_of
from app.engine.models import Models
from app.store.model_store import Version, inspect_version, read_store
from app.tasks.catalog import entry_of
from app.tasks.registry import CHECKS


def verify_versions(store: Path, name: str | None) -> None:
    """Print the state of each version, or of those of one name. Raises click.exceptions.Exit if one is broken."""
    contents = read_store(store, inspect_version)
    broken = {version.key: version.reason for version in contents.broken if name in (None, version.name)}
    whole = [version for version in contents.versions if name in (None, version.manifest.name)]
    if not broken and not whole:
        raise click.ClickException(f"{store} has no version of {name}" if name else f"{store} has no version")
    for version in whole:
        key = version.manifest.key
        failure = failure_of(key, partial(_run, version))
        if failure is None:
            click.echo(f"{key}\tsound")
        else:
            broken[key] = failure.reason
    for key, reason in sorted(broken.items()):
        click.echo(f"{key}\tbroken: {reason}")
    if broken:
        raise click.exceptions.Exit(1)


def _run(version: Version) -> None:
    """Load a version as front end and engine do. Raises StoreError."""
    entry_of(version, CHECKS)
    Models(torch.device("cpu"), slots=2).load(version)
