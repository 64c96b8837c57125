"""`unroll layouts`."""

import click

from app.importers.layouts import LAYOUTS


@click.command()
def layouts() -> None:
    """List the checkpoint layouts that `unroll import` reads."""
    for layout in LAYOUTS.values():
        click.echo(f"{layout.name}\t{layout.source}\tvocabularies: {', '.join(layout.vocabularies)}")
