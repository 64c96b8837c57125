"""`unroll export`."""

import shlex
from pathlib import Path
from typing import Literal

import click

from app.cli.store_option import store_option


@click.command()
@click.argument("name")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--version", "version", type=click.IntRange(min=1), help="Default: the newest version.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["pytorch", "onnx"]),
    default="pytorch",
    show_default=True,
    help="pytorch: a model file that needs torch alone, and its state dict. onnx: one graph.",
)
@store_option
def export(name: str, folder: Path, version: int | None, form: Literal["pytorch", "onnx"], store: Path) -> None:
    """Write a version as files that need no Unroll.

    DIR must be new or empty.
    """
    from app.cli.messages import errors_as_messages
    from app.export.exporting import export as export_version
    from app.store.listing import newest_version

    with errors_as_messages():
        written = export_version(store, name, version or newest_version(store, name), form, folder)
    for file in written.files:
        click.echo(f"wrote {file}")
    if written.difference is not None:
        click.echo(f"compared with the version on a random source: answers differ by {written.difference:.1e} at most")
    if form == "pytorch":
        click.echo(f"try it:\n  python {shlex.quote(str(folder / 'model.py'))} {written.source}")
