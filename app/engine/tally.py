"""How many inputs the engines answered for this front end, by version, and how long that took."""

import time
from collections import defaultdict
from dataclasses import dataclass
from types import TracebackType

from app.errors import UnrollError


@dataclass
class Counts:
    """Of one version; nanoseconds are summed, `last` is in milliseconds since 1970."""

    answered: int = 0
    answered_ns: int = 0
    failed: int = 0
    failed_ns: int = 0
    last: int = 0


class Tally:
    """Counts by `name/version`."""

    def __init__(self) -> None:
        self._counts: defaultdict[str, Counts] = defaultdict(Counts)

    def timing(self, model: str) -> "Timing":
        """The context in which an engine answers one input: answered when it ends, failed when it raises one of our
        errors. What a caller gave up counts as neither."""
        return Timing(self._counts[model])

    def of(self, model: str) -> Counts:
        return self._counts.get(model, Counts())


class Timing:
    """One input."""

    __slots__ = ("_began", "_counts")

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._began = time.perf_counter_ns()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        took = time.perf_counter_ns() - self._began
        if kind is None:
            self._counts.answered += 1
            self._counts.answered_ns += took
            self._counts.last = time.time_ns() // 1_000_000
        elif issubclass(kind, UnrollError):
            self._counts.failed += 1
            self._counts.failed_ns += took
