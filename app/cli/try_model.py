"""The options of `unroll try`; `app.cli.trying` runs it."""

from pathlib import Path

import click
from unroll_client.address import API_KEY, DEFAULT_URL


@click.command(name="try")
@click.argument("model", required=False)
@click.option(
    "--url", envvar="UNROLL_URL", show_envvar=True, help=f"Running service; default: {DEFAULT_URL} if it answers."
)
@click.option("--api-key", envvar=API_KEY, show_envvar=True, help="Key to send.")
@click.option(
    "--store",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("model_store"),
    show_default=True,
    help="Model store, where no running service has the model.",
)
def try_model(model: str | None, url: str | None, api_key: str | None, store: Path) -> None:
    """Try a model at a prompt in the terminal.

    A line is an input: a text, the path of an image, a clip or a CSV, or numbers. The answer streams. MODEL is a name
    or NAME/VERSION. A running service answers; without one, a service of that model alone runs until the end.
    """
    from app.cli.trying.prompt import run_prompt

    run_prompt(model, url, api_key, store)
