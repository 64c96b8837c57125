"""The learning curve of a run as a picture, from the log of the training loop."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

CURVE = "learning_curve.png"


def draw_curve(log: Path, picture: Path) -> None:
    """`log.tsv` (epoch, mean loss, dev score, seconds) to a PNG: loss and dev score over epochs."""
    rows = [[float(value) for value in line.split("\t")] for line in log.read_text().splitlines()]
    epochs = [int(row[0]) + 1 for row in rows]
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False}):
        figure = Figure(figsize=(5, 3), dpi=110, layout="constrained")
        left = figure.subplots()
        right = left.twinx()
        for axis, column, name, color in ((left, 1, "training loss", "tab:gray"), (right, 2, "dev score", "tab:blue")):
            axis.plot(epochs, [row[column] for row in rows], color=color, marker="o", markersize=3)
            axis.set_ylabel(name, color=color)
            axis.tick_params(axis="y", colors=color)
        left.set_xlabel("epoch")
        left.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.savefig(picture)
