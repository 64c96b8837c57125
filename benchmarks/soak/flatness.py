"""Growth of memory: the median of a process in the first third of the time after the warm-up against the last third.

Judged is anonymous memory: what the process allocated itself, resident or swapped. The unique set size (USS) is shown
beside it; it also counts pages of files while no other process maps them, so it jumps by the size of the libraries when
another engine is killed. Only processes that lived through the whole time are judged. Those that were killed have ages
that differ; their replacements are compared at equal ages and shown.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.soak.processes import Role, Sample

WARM_UP, END = 0.1, 0.95  # shares of the soak: before, caches fill; after, the oldest processes are killed
_FIGURES = ("anonymous", "uss", "pss", "rss", "files", "threads")
_FEWEST = 5  # samples of a third
_YOUNG, _OLD = 20.0, 60.0  # seconds: the ages at which replacements are compared


@dataclass(frozen=True)
class Growth:
    """Medians in the first and in the last third; `judged` if the process lived through both."""

    what: str
    judged: bool
    anonymous: tuple[float, float]
    uss: tuple[float, float]
    pss: tuple[float, float]
    rss: tuple[float, float]
    files: tuple[float, float]
    threads: tuple[float, float]

    @property
    def share(self) -> float:
        """Growth of anonymous memory as a share of the first third."""
        return self.anonymous[1] / self.anonymous[0] - 1


def growths(samples: Sequence[Sample], seconds: float) -> list[Growth]:
    """A growth for each process that lived through a soak of `seconds`, and one for the replacements of each role."""
    begin, end = WARM_UP * seconds, END * seconds
    third = (end - begin) / 3
    early = [sample for sample in samples if begin <= sample.at < begin + third]
    late = [sample for sample in samples if end - third <= sample.at < end]
    whole = {sample.pid for sample in early if sample.at - sample.age < begin} & {sample.pid for sample in late}
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
    pairs = {name: (_median(early, name), _median(late, name)) for name in _FIGURES}
    return [Growth(what, judged, **pairs)]


def _median(samples: Iterable[Sample], name: str) -> float:
    return float(median(getattr(sample, name) for sample in samples))
