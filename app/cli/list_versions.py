"""`unroll list`."""

from pathlib import Path

import click

from app.cli.store_option import HOW_TO_GET_MODELS, store_option


@click.command()
@store_option
def list_versions(store: Path) -> None:
    """List the versions in a model store.

    A broken version is listed with the reason. It checks manifests and the sizes of files; `unroll verify` checks
    hashes, too.
    """
    from app.store.model_store import inspect_version, read_store

    contents = read_store(store, inspect_version)
    for version in contents.versions:
        manifest = version.manifest
        size = f"{manifest.bytes / 1e6:.1f} MB"
        languages = ",".join(manifest.languages)
        click.echo(f"{manifest.key}\t{manifest.task}\t{languages}\t{size}\t{manifest.architecture.describe()}")
    if not contents.versions and not contents.broken:
        click.echo(f"there is no model in {store}; {HOW_TO_GET_MODELS}", err=True)
    for broken in contents.broken:
        click.echo(f"{broken.key}\tbroken: {broken.reason}")
