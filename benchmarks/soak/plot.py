"""Memory, open files and answers over the time of a soak, with marks at the faults."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from benchmarks.soak.processes import Role, Sample

COLOURS = {
    Role.FRONT_END: "#d1495b",
    Role.ENGINE: "#00798c",
    Role.TEMPLATE: "#66a182",
    Role.SUPERVISOR: "#8d99ae",
    Role.IMAGE_DECODER: "#edae49",
    Role.OTHER: "#3d405b",
}
MARKS = {"engine": "#00798c", "worker": "#d1495b", "log": "#8d99ae", "service": "#000000"}


def draw(
    samples: Sequence[Sample], marks: Sequence[tuple[float, str]], answers: Sequence[tuple[float, int]], path: Path
) -> None:
    """Write the plot as PNG; needs matplotlib. `answers` are the time and the number of answers so far."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (memory, files, rate) = pyplot.subplots(
        3, 1, figsize=(9, 7), sharex=True, gridspec_kw={"height_ratios": (3, 2, 2)}
    )
    lives: dict[int, list[Sample]] = {}
    for sample in samples:
        lives.setdefault(sample.pid, []).append(sample)
    named = set[Role]()
    for life in lives.values():
        role = life[0].role
        label = None if role in named else str(role)
        named.add(role)
        minutes = [sample.at / 60 for sample in life]
        memory.plot(minutes, [sample.anonymous / 1e6 for sample in life], color=COLOURS[role], label=label, linewidth=1)
        files.plot(minutes, [sample.files for sample in life], color=COLOURS[role], linewidth=1)
    times = [(since[0] + until[0]) / 120 for since, until in pairwise(answers)]
    rates = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(answers)]
    rate.plot(times, rates, color="#8d99ae", linewidth=1)
    for axes, label in ((memory, "anonymous memory, MB"), (files, "open files"), (rate, "answers/s")):
        for at, what in marks:
            axes.axvline(at / 60, color=MARKS[what.split()[0]], linewidth=0.5, alpha=0.4)
        axes.set_ylabel(label)
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
    memory.set_title("vertical lines: faults, in the colour of the victim", fontsize="small", loc="right")
    memory.legend(frameon=False, ncols=4, loc="lower left", bbox_to_anchor=(0, 1))
    rate.set_xlabel("minutes")
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
