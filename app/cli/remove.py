"""`unroll remove`."""

from pathlib import Path

import click

from app.cli.store_option import store_option


@click.command()
@click.argument("name")
@click.argument("version", type=click.IntRange(min=1))
@store_option
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def remove(name: str, version: int, store: Path, yes: bool) -> None:
    """Remove a version from the model store.

    Unload the version first from each service that serves it.
    """
    from app.store.listing import version_folders
    from app.store.publishing import remove_version

    folder = version_folders(store).get(f"{name}/{version}")
    if folder is None:
        raise click.ClickException(f"{store} has no {name}/{version}; `unroll list` lists its versions")
    if not yes:
        click.confirm(f"Remove {folder} with all its files?", abort=True)
    remove_version(folder)
    click.echo(f"removed {folder}")
