"""The option `--store` of commands that read a model store."""

from pathlib import Path

import click

store_option = click.option(
    "--store",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path("model_store"),
    show_default=True,
    help="Folder of the model store.",
)
