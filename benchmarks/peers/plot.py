"""A bar chart: requests per second of each server, one panel for each job."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers.report import Row, middle, reference
from benchmarks.peers.servers import UNROLL


def draw(rows: Sequence[Row], path: Path) -> None:
    """Write the chart as PNG; needs matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    most, jobs = reference(rows), list(dict.fromkeys(row.job for row in rows))
    figure, panels = pyplot.subplots(1, len(jobs), figsize=(4.6 * len(jobs), 3.6), squeeze=False)
    for job, axes in zip(jobs, panels[0], strict=True):
        servers = dict.fromkeys(row.server for row in rows if row.job == job)
        rates = {server: middle(rows, job, server, "rate", clients=most) or 0.0 for server in servers}
        order = sorted(rates, key=lambda server: rates[server])
        colours = ["#d1495b" if server == UNROLL else "#8d99ae" for server in order]
        bars = axes.barh(order, [rates[server] for server in order], color=colours)
        axes.bar_label(bars, fmt="%.0f", padding=3)
        axes.set_title(job)
        axes.set_xlabel(f"requests/s, {most} clients")
        axes.margins(x=0.15)
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=150)
    pyplot.close(figure)
