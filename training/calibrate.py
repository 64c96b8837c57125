"""Fit the confidence of shipped models and write it into manifest and card: `python -m training.calibrate NAME`."""

from pathlib import Path

import click
import torch

from training.evaluate import RECIPES, recipe_of


@click.command(help=__doc__)
@click.argument("names", nargs=-1, required=True, type=click.Choice(RECIPES))
@click.option("--data", type=click.Path(path_type=Path), default=Path("data"), help="Folder with the raw data.")
@click.option("--threads", default=2, help="Torch threads.", show_default=True)
def main(names: tuple[str, ...], data: Path, threads: int) -> None:
    torch.set_num_threads(threads)
    for name in names:
        recipe = recipe_of(name)
        if recipe.calibration is None:
            click.echo(f"{name}\tits recipe judges no answers")
            continue
        confidence = recipe.calibrate(data)
        for way, curve in (("greedy", confidence.greedy), ("searched", confidence.searched)):
            if curve is not None:
                click.echo(f"{name}\t{way}\terror {curve.error:.3f} on {curve.held_out} answers")


if __name__ == "__main__":
    main()
