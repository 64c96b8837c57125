"""The options of `unroll import`; `app.cli.import_run` runs it."""

from pathlib import Path
from typing import Any

import click


class _CheckpointFile(click.Path):
    """A file with weights. A folder is named by what lies in it, and an address by what to do with it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if "://" in str(value):
            self.fail(f"{value} is an address: download the file first, and give its path", param, ctx)
        return super().convert(value, param, ctx)


_FILE = _CheckpointFile(path_type=Path, exists=True)


@click.command(name="import")
@click.option("--name", required=True, help="Name of the model in the store.")
@click.option("--checkpoint", "checkpoints", multiple=True, required=True, type=_FILE, help="File with weights.")
@click.option("--vocab", "vocabularies", multiple=True, help="[source=|target=]FILE with a word a line, from word 0.")
@click.option("--layout", help="A layout of `unroll layouts`; needed only when several fit.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A value that the files do not contain.")
@click.option("--usual", is_flag=True, help="Accept the default of each value that is not set, and show which.")
@click.option("--interactive", is_flag=True, help="Ask for what is missing on the terminal.")
@click.option(
    "--labels", default="", help='Names of the labels in order: negative,positive ("a, b" has a comma); or a file.'
)
@click.option("--features", default="", help="Names of the columns that a network of series reads, in order.")
@click.option("--targets", default="", help="Names of the columns that it forecasts.")
@click.option(
    "--scaler",
    "scalers",
    multiple=True,
    help="[features=|targets=] file of a scaler, or its numbers: none, min-max:MIN,MAX, standard:MEAN,STD; columns are "
    "separated by semicolons.",
)
@click.option("--task", help="Task of the model, if it is not the usual one of its network.")
@click.option("--languages", default="", help="Source and target language: en,ko; or one of them: de, or ,en")
@click.option(
    "--store",
    type=click.Path(path_type=Path),
    default=Path("model_store"),
    show_default=True,
    help="Folder of the model store; it is made if it does not exist.",
)
@click.option("--version", "version", type=click.IntRange(min=1), help="Default: one more than the newest version.")
@click.option("--default", is_flag=True, help="Make it the default model of its task.")
@click.option("--licence", default="unknown", show_default=True, help="Licence of the weights.")
@click.option("--try", "trial", metavar="INPUT", help="Answer this input; where two readings fit the file, by each.")
@click.option("--write-mapping", type=click.Path(path_type=Path, dir_okay=False), help="Write a mapping with all keys.")
@click.option("--into", metavar="URL", help="Send the version to a running service instead of a store, and load it.")
@click.option("--key", envvar="UNROLL_ADMIN_KEY", help="Administrator's key of that service.")
@click.option("--dry-run", is_flag=True, help="All steps but the last; writes nothing.")
@click.pass_context
def import_(context: click.Context, /, **parameters: Any) -> None:
    """Import a checkpoint of another code base into the model store.

    The import runs no code of the checkpoint. It asks for all that the files do not contain in one round.
    """
    from app.cli.import_run import run_import

    run_import(context, parameters)
