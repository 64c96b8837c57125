"""`unroll pull`."""

from pathlib import Path

import click


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option(
    "--from",
    "source",
    help="A checkout of Unroll or a model store: a folder, the URL of a git repository (git+https://...), or an fsspec "
    "URL. Default: the place from which Unroll was installed.",
)
@click.option(
    "--store",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("model_store"),
    show_default=True,
    help="Folder of the model store; it is made if it does not exist.",
)
def pull(names: tuple[str, ...], source: str | None, store: Path) -> None:
    """Copy models into a model store.

    NAME is a model, or one of its versions such as lm-en/1; without a NAME all models of the source are copied. Every
    file is compared with its SHA-256 in the manifest.
    """
    from app.cli.pull_models import pull_models

    pull_models(names, source, store)
