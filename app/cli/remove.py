"""`unroll remove`."""

from pathlib import Path

import click

from app.cli.store_option import store_option


@click.command()
@click.argument("name")
@click.argument("version", type=click.IntRange(min=1), required=False)
@store_option
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def remove(name: str, version: int | None, store: Path, yes: bool) -> None:
    """Remove a version from the model store.

    NAME VERSION or NAME/VERSION. Unload the version first from each service that serves it.
    """
    from app.store.listing import version_folders
    from app.store.publishing import remove_version

    folders = version_folders(store)
    if version is None and (of_version := folders.get(name)):
        name, version = of_version.parent.name, int(of_version.name)
    if version is None:
        versions = sorted(int(folder.name) for folder in folders.values() if folder.parent.name == name)
        if versions:
            commands = ", ".join(f"`unroll remove {name} {number}`" for number in versions)
            raise click.UsageError(f"say which version: {commands}")
    folder = folders.get(f"{name}/{version}")
    if folder is None:
        asked = name if version is None else f"{name}/{version}"
        raise click.ClickException(f"{store} has no {asked}; `unroll list` lists its versions")
    if not yes:
        click.confirm(f"Remove {folder} with all its files?", abort=True)
    remove_version(folder)
    click.echo(f"removed {folder}")
