"""What one measurement saw."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Sample:
    """`rate` is in requests per second; `latencies` in seconds, empty where a request has none of its own; `cores` is
    what the measuring processes themselves used, in seconds on a core for each second."""

    rate: float
    latencies: tuple[float, ...] = ()
    refused: int = 0
    errors: tuple[str, ...] = ()
    cores: float = 0.0

    @property
    def failures(self) -> list[str]:
        """What went wrong, a refusal included."""
        refused = [f"{self.refused} requests were refused"] if self.refused else []
        return [*self.errors, *refused]

    def milliseconds(self, share: float) -> float | None:
        """The latency that so large a share of the requests did not exceed."""
        if not self.latencies:
            return None
        ordered = sorted(self.latencies)
        return 1000 * ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def together(samples: Iterable[Sample]) -> Sample:
    """Processes that ran at the same time as one."""
    parts = list(samples)
    return Sample(
        rate=sum(part.rate for part in parts),
        latencies=tuple(latency for part in parts for latency in part.latencies),
        refused=sum(part.refused for part in parts),
        errors=tuple(error for part in parts for error in part.errors),
        cores=sum(part.cores for part in parts),
    )
