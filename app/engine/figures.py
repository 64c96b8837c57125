"""What an engine measures and reports in its `Status`: histograms, durations and the figures of each model."""

from bisect import bisect_left

import msgspec

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)  # upper bounds of buckets
TOKEN_SECONDS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
LOAD_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class Histogram(msgspec.Struct, array_like=True):
    """Observations per bucket and their sum. Both processes know the upper bounds; the last bucket has none."""

    counts: list[int]
    sum: float = 0.0

    @classmethod
    def empty(cls, bounds: tuple[float, ...]) -> "Histogram":
        """A histogram without observations."""
        return cls([0] * (len(bounds) + 1))

    def add(self, value: float, bounds: tuple[float, ...]) -> None:
        """Count one observation. A value equal to a bound belongs to that bound's bucket."""
        self.counts[bisect_left(bounds, value)] += 1
        self.sum += value


class Durations(msgspec.Struct, array_like=True):
    """A count of events and their total time."""

    count: int = 0
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one event."""
        self.count += 1
        self.seconds += seconds


class ModelFigures(msgspec.Struct, array_like=True):
    """What one engine did for one version since it was loaded.

    `queue` and `first_token` are seconds from the arrival of a request, over `SECONDS`; `token` is seconds per decoded
    token, over `TOKEN_SECONDS`. `answered` and `failed` run from arrival to end; `waited`, `encoded` and `decoded` are
    the phases of answered requests. `rows` of `slots` are in use now. `executions` counts chunks and units.
    `last_answered` is on the clock of `time.monotonic`; 0 means never.
    """

    queue: Histogram
    first_token: Histogram
    token: Histogram
    source_tokens: int = 0
    decoded_tokens: int = 0
    rows: int = 0
    slots: int = 0
    answered: Durations = msgspec.field(default_factory=Durations)
    failed: Durations = msgspec.field(default_factory=Durations)
    waited: Durations = msgspec.field(default_factory=Durations)
    encoded: Durations = msgspec.field(default_factory=Durations)
    decoded: Durations = msgspec.field(default_factory=Durations)
    executions: int = 0
    last_answered: float = 0.0
