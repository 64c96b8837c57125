"""The result of one measurement."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Sample:
    """`rate` is in requests per second; `latencies` in seconds, empty where a request has none of its own; `cores` is
    the processor time of the measuring processes, in seconds per second."""

    rate: float
    latencies: tuple[float, ...] = ()
    refused: int = 0
    errors: tuple[str, ...] = ()
    cores: float = 0.0

    @property
    def failures(self) -> list[str]:
        """The errors, and the number of refusals."""
        refused = [f"{self.refused} requests were refused"] if self.refused else []
        return [*self.errors, *refused]

    def milliseconds(self, share: float) -> float | None:
        """The quantile `share` (0 to 1) of the latencies, None without latencies."""
        if not self.latencies:
            return None
        ordered = sorted(self.latencies)
        return 1000 * ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def together(samples: Iterable[Sample]) -> Sample:
    """The sum of samples that processes took at the same time."""
    parts = list(samples)
    return Sample(
        rate=sum(part.rate for part in parts),
        latencies=tuple(latency for part in parts for latency in part.latencies),
        refused=sum(part.refused for part in parts),
        errors=tuple(error for part in parts for error in part.errors),
        cores=sum(part.cores for part in parts),
    )
