"""`unroll layouts`."""

from pathlib import Path

import click

LISTED = Path(__file__).with_name("layouts.tsv")  # `make docs` writes it: the layouts themselves import torch


@click.command()
def layouts() -> None:
    """List the checkpoint layouts that `unroll import` reads."""
    click.echo(LISTED.read_text(encoding="utf8"), nl=False)
