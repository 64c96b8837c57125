"""Growth of memory: the floor of a process in the first third of the time after the warm-up against the last third.

The floor is the size of anonymous memory (what the process allocated itself, resident or swapped) that it is below for
a tenth of the time. An engine takes and frees hundreds of megabytes with its load, so medians differ by several percent
from third to third; but memory that is lost is never freed, so it raises the floor. Median, peak and the unique set
size (USS) are shown beside it; USS also counts pages of files while no other process maps them, so it jumps by the size
of the libraries when another engine is killed. Only processes that lived through the whole time are judged. Those that
were killed have ages that differ; their replacements are compared at equal ages and shown.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.soak.processes import Role, Sample

END = 0.95  # share of the soak after which the oldest processes are killed
_WARM_UP, _WARM_UP_SECONDS = 0.1, 120.0  # share of the soak, and least time, in which caches fill
_FIGURES = ("uss", "pss", "rss", "files", "threads")
_FLOOR = 0.1  # share of the time
_FEWEST = 5  # samples of replacements
_THIRD_SECONDS = 60.0  # least length of a third: a loaded engine returns to its floor within seconds
_YOUNG, _OLD = 20.0, 60.0  # seconds: the ages at which replacements are compared


@dataclass(frozen=True)
class Growth:
    """Figures of the first and of the last third; `judged` if the process lived through both. `floor`, `median` and
    `peak` are of anonymous memory; the others are medians."""

    what: str
    judged: bool
    floor: tuple[float, float]
    median: tuple[float, float]
    peak: tuple[float, float]
    uss: tuple[float, float]
    pss: tuple[float, float]
    rss: tuple[float, float]
    files: tuple[float, float]
    threads: tuple[float, float]

    @property
    def share(self) -> float:
        """Growth of the floor as a share of the first third."""
        return self.floor[1] / self.floor[0] - 1


def growths(samples: Sequence[Sample], seconds: float) -> list[Growth]:
    """A growth for each process that lived through a soak of `seconds`, and one for the replacements of each role.
    Empty if the soak is too short."""
    begin, end = max(_WARM_UP * seconds, _WARM_UP_SECONDS), END * seconds
    third = (end - begin) / 3
    if third < _THIRD_SECONDS:
        return []
    early = [sample for sample in samples if begin <= sample.at < begin + third]
    late = [sample for sample in samples if end - third <= sample.at < end]
    born = begin - _WARM_UP_SECONDS  # at the latest
    whole = {sample.pid for sample in early if sample.at - sample.age <= born} & {sample.pid for sample in late}
    found = []
    for pid, role in {sample.pid: sample.role for sample in samples if sample.pid in whole}.items():
        of_pid = ([s for s in part if s.pid == pid] for part in (early, late))
        found += _growth(f"{role}, process {pid}", *of_pid, judged=True)
    for role in Role:
        replaced = [s for s in samples if s.role is role and s.pid not in whole and _YOUNG <= s.age < _OLD]
        halves = ([s for s in replaced if s.at < end / 2], [s for s in replaced if end / 2 <= s.at < end])
        found += _growth(f"{role}, replacements at equal ages", *halves, judged=False)
    return found


def _growth(what: str, early: list[Sample], late: list[Sample], *, judged: bool) -> list[Growth]:
    if min(len(early), len(late)) < _FEWEST:
        return []
    parts = [sorted(sample.anonymous for sample in part) for part in (early, late)]
    floor, middle, peak = (_pair(parts, figure) for figure in (_floor, median, max))
    others = {name: _pair([[getattr(s, name) for s in part] for part in (early, late)], median) for name in _FIGURES}
    return [Growth(what, judged, floor, middle, peak, **others)]


def _floor(ordered: Sequence[int]) -> float:
    return ordered[int(_FLOOR * (len(ordered) - 1))]


def _pair(parts: Sequence[Sequence[int]], figure: Callable[[Sequence[int]], float]) -> tuple[float, float]:
    early, late = (float(figure(part)) for part in parts)
    return early, late
