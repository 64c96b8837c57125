"""`unroll import`."""

from pathlib import Path
from typing import Any

import click

from app.cli.messages import errors_as_messages
from app.importers.importing import convert_checkpoint, import_checkpoint
from app.importers.request import ImportRequest
from app.store.listing import newest_version

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command(name="import")
@click.option("--name", required=True, help="Name of the model in the store.")
@click.option("--checkpoint", "checkpoints", multiple=True, required=True, type=_FILE, help="File with weights.")
@click.option("--vocab", "vocabularies", multiple=True, help="[source=|target=]FILE with a word a line, from word 0.")
@click.option("--layout", help="A layout of `unroll layouts`; needed only when several fit.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A value that the files do not contain.")
@click.option("--usual", is_flag=True, help="Accept the default of each value that is not set.")
@click.option("--labels", default="", help="Names of the labels in order: negative,positive")
@click.option("--languages", default="", help="Source and target language: en,ko; or one of them: de, or ,en")
@click.option(
    "--store",
    type=click.Path(path_type=Path),
    default=Path("model_store"),
    show_default=True,
    help="Folder of the model store; it is made if it does not exist.",
)
@click.option("--version", "version", type=click.IntRange(min=1), help="Default: one more than the newest version.")
@click.option("--licence", default="unknown", show_default=True, help="Licence of the weights.")
@click.option("--dry-run", is_flag=True, help="Print what the files contain, and write nothing.")
def import_(
    name: str,
    checkpoints: tuple[Path, ...],
    vocabularies: tuple[str, ...],
    layout: str | None,
    settings: tuple[str, ...],
    usual: bool,
    labels: str,
    languages: str,
    store: Path,
    version: int | None,
    licence: str,
    dry_run: bool,
) -> None:
    """Import a checkpoint of another code base into the model store.

    The import runs no code of the checkpoint.
    """
    source, _, target = languages.partition(",")
    request = ImportRequest(
        name=name,
        checkpoints=checkpoints,
        vocabularies=[_vocabulary(value) for value in vocabularies],
        layout=layout,
        settings=dict(_setting(value) for value in settings),
        accept_usual=usual,
        labels=[label.strip() for label in labels.split(",") if label.strip()],
        version=version or 1 + newest_version(store, name),
        languages=(source or None, target or None),
        licence=licence,
    )
    with errors_as_messages():
        if dry_run:
            conversion = convert_checkpoint(request)
        else:
            conversion, folder = import_checkpoint(request, store)
        click.echo(f"layout: {conversion.layout.name}, {conversion.layout.source}")
        click.echo(f"network: {conversion.manifest.architecture.describe()}")
        for key, value in conversion.options.given.items():
            click.echo(f"{key}: {value}")
        click.echo("nothing was written" if dry_run else f"wrote {folder}; try it: unroll serve --store {store}")


def _vocabulary(value: str) -> tuple[Any, Path]:
    role, equals, file = value.partition("=")
    if not equals:
        role, file = "", value
    if role not in ("", "source", "target"):
        raise click.BadParameter(f"{value} has the role {role}; use source=FILE or target=FILE", param_hint="--vocab")
    path = Path(file)
    if not path.is_file():
        raise click.BadParameter(f"{file} is not a file", param_hint="--vocab")
    return role or None, path


def _setting(value: str) -> tuple[str, str]:
    key, equals, answer = value.partition("=")
    if not equals:
        raise click.BadParameter(f"{value} has no value; use KEY=VALUE", param_hint="--set")
    return key, answer
