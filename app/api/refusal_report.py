"""Counts refusals, and logs them together: a line for each would cost more than the refusal."""

import asyncio
from collections import Counter

from app.logs import Logger
from app.metrics import Metrics

_PERIOD = 1.0  # seconds between two lines


class RefusalReport:
    """Feeds the HTTP metrics, and writes a line `refused` with the number of each kind once a second."""

    def __init__(self, metrics: Metrics, lines: Logger | None) -> None:
        self._metrics = metrics
        self._lines = lines
        self._counts: Counter[tuple[str, int, str]] = Counter()

    def note(self, route: str, status: int, problem: str, seconds: float) -> None:
        """Count a refusal."""
        self._metrics.http(route, status, seconds)
        self.log(route, status, problem)

    def log(self, route: str, status: int, problem: str) -> None:
        """Count a refusal that the metrics know already."""
        if self._lines is not None:
            self._counts[route, status, problem] += 1

    async def watch(self) -> None:
        """Write the lines until cancelled."""
        try:
            while True:
                await asyncio.sleep(_PERIOD)
                self._write()
        finally:
            self._write()

    def _write(self) -> None:
        counts, self._counts = self._counts, Counter()
        for (route, status, problem), count in counts.items():
            assert self._lines is not None
            self._lines.info("refused", route=route, status=status, problem=problem, count=count)
