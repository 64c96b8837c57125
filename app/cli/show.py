"""`unroll show`."""

from pathlib import Path

import click

from app.cli.store_option import store_option


@click.command()
@click.argument("name")
@store_option
def show(name: str, store: Path) -> None:
    """Show the manifests of a model's versions.

    Members that have their default are left out.
    """
    from app.store.model_store import inspect_version, read_store

    manifests = [
        version.manifest for version in read_store(store, inspect_version).versions if version.manifest.name == name
    ]
    if not manifests:
        raise click.ClickException(f"{store} has no usable version of {name}; `unroll list` lists its versions")
    for manifest in manifests:
        click.echo(manifest.model_dump_json(indent=2, exclude_none=True, exclude_defaults=True))
