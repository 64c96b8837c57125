"""`unroll verify`."""

from pathlib import Path

import click

from app.cli.store_option import store_option


@click.command()
@click.argument("name", required=False)
@store_option
def verify(name: str | None, store: Path) -> None:
    """Check versions as an engine does.

    It checks hashes and shapes, and runs one small inference. The exit status is 1 if a version is broken.
    """
    from app.cli.verify_versions import verify_versions

    verify_versions(store, name)
