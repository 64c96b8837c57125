"""Measure shipped checkpoints and write the numbers into manifest and card: `python -m training.evaluate NAME`.

`--precision` measures the serving form in that number type and writes nothing. `--texts` measures nothing, and writes
the texts of the recipe: description, domain, licence, card.
"""

from importlib import import_module
from pathlib import Path
from typing import get_args

import click
import torch

from app.models.serving.precision import Precision
from training.recipe import Recipe

RECIPES = (
    "lm-en",
    "lm-en-general",
    "lm-ko",
    "sentiment-en",
    "sentiment-en-rnn",
    "sentiment-en-gru",
    "sentiment-en-lstm",
    "sentiment-ko",
    "caption-en",
    "translate-en-ko",
    "forecast-weather",
    "classify-digits-motion",
    "tag-en",
)


def recipe_of(name: str) -> Recipe:
    """The recipe of a shipped model: `sentiment-en` is in `training/sentiment_en.py`."""
    recipe: Recipe = import_module(f"training.{name.replace('-', '_')}").RECIPE
    return recipe


@click.command(help=__doc__)
@click.argument("names", nargs=-1, required=True, type=click.Choice(RECIPES))
@click.option("--data", type=click.Path(path_type=Path), default=Path("data"), help="Folder with the raw data.")
@click.option("--threads", default=2, help="Torch threads.", show_default=True)
@click.option("--precision", type=click.Choice(get_args(Precision)), help="Measure in this number type; write nothing.")
@click.option("--texts", is_flag=True, help="Write the texts of the recipe alone.")
def main(names: tuple[str, ...], data: Path, threads: int, precision: Precision | None, texts: bool) -> None:
    torch.set_num_threads(threads)
    for name in names:
        recipe = recipe_of(name)
        if texts:
            recipe.describe()
            continue
        figures = recipe.figures(data, precision=precision) if precision else recipe.evaluate(data).quality
        for figure in figures:
            click.echo(f"{name}\t{figure.measure}\t{figure.value:.4f}\t{figure.data}")


if __name__ == "__main__":
    main()
