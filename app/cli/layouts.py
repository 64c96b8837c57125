"""`unroll layouts`."""

import click


@click.command()
def layouts() -> None:
    """List the checkpoint layouts that `unroll import` reads."""
    from app.importers.layouts import LAYOUTS

    for layout in LAYOUTS.values():
        click.echo(f"{layout.name}\t{layout.source}\tvocabularies: {', '.join(layout.vocabularies)}")
