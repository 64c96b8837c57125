"""Measure shipped checkpoints and write the numbers into manifest and card: `python -m training.evaluate NAME`."""

from importlib import import_module
from pathlib import Path

import click
import torch

from training.recipe import Recipe

RECIPES = ("sentiment-en", "sentiment-ko", "caption-en", "translate-en-ko")


def recipe_of(name: str) -> Recipe:
    """The recipe of a shipped model: `sentiment-en` is in `training/sentiment_en.py`."""
    recipe: Recipe = import_module(f"training.{name.replace('-', '_')}").RECIPE
    return recipe


@click.command(help=__doc__)
@click.argument("names", nargs=-1, required=True, type=click.Choice(RECIPES))
@click.option("--data", type=click.Path(path_type=Path), default=Path("data"), help="Folder with the raw data.")
@click.option("--threads", default=2, help="Torch threads.", show_default=True)
def main(names: tuple[str, ...], data: Path, threads: int) -> None:
    torch.set_num_threads(threads)
    for name in names:
        for quality in recipe_of(name).evaluate(data).quality:
            click.echo(f"{name}\t{quality.measure}\t{quality.value:.4f}\t{quality.data}")


if __name__ == "__main__":
    main()
