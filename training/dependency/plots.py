"""Three plots as PNG, with one colour per kind of network. Needs matplotlib."""

from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from training.dependency.recall import CHANCE
from training.dependency.results import Results

COLOURS = {
    "RNN": "#d1495b",
    "GRU": "#2a7f9e",
    "LSTM": "#3d3d5c",
    "LSTM, forget bias 1": "#8d86c9",
    "LSTM, forget bias 3": "#e0a030",
}


def draw(results: Results, folder: Path) -> list[Path]:
    """Write a plot for each measurement with results; returns the files."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, rows, drawing, panels in (
        ("recall", results.recall, _recall, 1),
        ("gradient-norm", results.gradients, _gradients, 2),
        ("accuracy-over-distance", results.distance, _distance, 2),
    ):
        if rows:
            figure, axes = pyplot.subplots(1, panels, figsize=(4.9 * panels + 1.6, 3.7), squeeze=False)
            drawing(results, axes[0])
            for panel in axes[0]:
                panel.spines[["top", "right"]].set_visible(False)
            figure.tight_layout()
            written.append(folder / f"{name}.png")
            figure.savefig(written[-1], dpi=100)
            pyplot.close(figure)
    return written


def _recall(results: Results, panels: Sequence[Any]) -> None:
    (axes,) = panels
    gaps = sorted({row.gap for row in results.recall})
    for network in dict.fromkeys(row.network for row in results.recall):
        by_gap = [[row.accuracy for row in results.recall if (row.network, row.gap) == (network, gap)] for gap in gaps]
        axes.plot(gaps, [mean(values) for values in by_gap], "o-", color=COLOURS[network], label=network)
        axes.fill_between(gaps, list(map(min, by_gap)), list(map(max, by_gap)), color=COLOURS[network], alpha=0.12)
    axes.axhline(CHANCE, color="grey", linestyle=":", linewidth=1)
    axes.annotate("chance", (gaps[0], CHANCE), (0, 3), textcoords="offset points", color="grey", fontsize="small")
    _log_axis(axes, gaps, "gap between symbol and query, steps")
    axes.set_ylabel("accuracy (band: worst to best seed)")
    axes.set_ylim(0, 1.04)
    axes.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))


def _gradients(results: Results, panels: Sequence[Any]) -> None:
    for axes, end in zip(panels, ("state", "label"), strict=True):
        for fading in results.gradients:
            norms = [float("nan") if value is None else value for value in getattr(fading, end)]
            axes.plot(range(len(norms)), norms, color=COLOURS[fading.network], label=fading.network)
        axes.set_yscale("log")
        axes.set_xlabel("distance to the end of the text, tokens")
        axes.legend(frameon=False, fontsize="small")
    panels[0].set_title("of the last hidden state", fontsize="medium")
    panels[1].set_title("of the label's log-odds", fontsize="medium")
    panels[0].set_ylabel("gradient norm, relative to the last token")


def _distance(results: Results, panels: Sequence[Any]) -> None:
    left, right = panels
    for network in dict.fromkeys(row.network for row in results.distance):
        rows = [row for row in results.distance if row.network == network]
        tokens = [row.tokens for row in rows]
        left.plot(tokens, [row.accuracy for row in rows], "o-", color=COLOURS[network], label=network)
        right.plot(tokens, [row.difference for row in rows], "o-", color=COLOURS[network], label=network)
    left.axhline(0.5, color="grey", linestyle=":", linewidth=1)
    left.annotate("chance", (0, 0.5), (0, 3), textcoords="offset points", color="grey", fontsize="small")
    left.set_ylabel("accuracy")
    left.set_ylim(0.4, 1.02)
    right.set_ylabel("difference in the probability of positive")
    ticks = sorted({row.aimed for row in results.distance} - {0})
    for axes in panels:
        axes.set_xscale("symlog", base=2, linthresh=6)
        axes.set_xticks([0, *ticks], ["0", *map(str, ticks)])
        axes.set_xlabel("distance of the decisive sentence to the end, tokens")
        axes.legend(frameon=False, fontsize="small")


def _log_axis(axes: Any, ticks: Sequence[int], label: str) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, list(map(str, ticks)))
    axes.minorticks_off()
    axes.set_xlabel(label)
