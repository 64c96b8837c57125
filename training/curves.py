"""The learning curve of a run as a picture, from the log of the training loop."""

from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

CURVE = "learning_curve.png"


class Epoch(NamedTuple):
    """A line of `log.tsv`: the epoch from 0, its mean loss, dev score and seconds."""

    epoch: int
    loss: float
    dev: float
    seconds: float


def read_log(log: Path) -> list[Epoch]:
    """The epochs of a run."""
    columns = (line.split("\t") for line in log.read_text().splitlines())
    return [Epoch(int(row[0]), float(row[1]), float(row[2]), float(row[3])) for row in columns]


def draw_curve(log: Path, picture: Path) -> None:
    """`log.tsv` to a PNG: loss and dev score over epochs."""
    rows = read_log(log)
    epochs = [row.epoch + 1 for row in rows]
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False}):
        figure = Figure(figsize=(5, 3), dpi=110, layout="constrained")
        left = figure.subplots()
        right = left.twinx()
        lines = (
            (left, [row.loss for row in rows], "training loss", "tab:gray"),
            (right, [row.dev for row in rows], "dev score", "tab:blue"),
        )
        for axis, values, name, color in lines:
            axis.plot(epochs, values, color=color, marker="o", markersize=3)
            axis.set_ylabel(name, color=color)
            axis.tick_params(axis="y", colors=color)
        left.set_xlabel("epoch")
        left.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.savefig(picture)
