"""The ledger of a soak: every request is entered before its first byte is sent, and ends in exactly one outcome."""

import time
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

_KEPT = 50  # failed requests with all details


class Outcome(StrEnum):
    """The end of a request. `LOST` and `WRONG` fail a soak."""

    ANSWERED = "answered"
    REFUSED = "refused"
    KILLED = "worker killed"  # closed because the soak killed the worker that had it
    HUNG_UP = "hung up"  # by the client, on purpose
    LOST = "lost"
    WRONG = "wrong"


FAILURES = (Outcome.LOST, Outcome.WRONG)


@dataclass(frozen=True)
class End:
    """An outcome, and the reason: the slug of a problem, or a sentence."""

    outcome: Outcome
    detail: str = ""


@dataclass(eq=False)
class Entry:
    """One request. `sent` is of `time.monotonic`."""

    actor: str
    route: str
    sent: float
    end: End | None = None


@dataclass
class Ledger:
    """All requests of a soak, counted by actor and outcome."""

    sent: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[tuple[str, Outcome]] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    routes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    longest: dict[str, float] = field(default_factory=dict)  # by actor, seconds until the complete answer
    _open: set[Entry] = field(default_factory=set)

    def enter(self, actor: str, route: str) -> Entry:
        entry = Entry(actor, route, time.monotonic())
        self.sent[actor] += 1
        self.routes[route] += 1
        self._open.add(entry)
        return entry

    def close(self, entry: Entry, end: End) -> None:
        """Record the end of a request."""
        assert entry.end is None, f"a request has two ends: {entry.end}, {end}"
        entry.end = end
        self._open.remove(entry)
        self.outcomes[entry.actor, end.outcome] += 1
        if end.outcome is Outcome.ANSWERED:
            seconds = time.monotonic() - entry.sent
            self.longest[entry.actor] = max(self.longest.get(entry.actor, 0.0), seconds)
        if end.outcome is Outcome.REFUSED:
            self.refusals[end.detail] += 1
        if end.outcome in FAILURES and len(self.failures) < _KEPT:
            self.failures.append(f"{end.outcome}: {entry.actor}, {entry.route}: {end.detail}")

    def close_rest(self) -> None:
        """At the end of a soak, requests without an end are lost."""
        for entry in list(self._open):
            self.close(entry, End(Outcome.LOST, "still unanswered at the end of the soak"))

    def total(self, *outcomes: Outcome) -> int:
        return sum(count for (_, outcome), count in self.outcomes.items() if outcome in outcomes)
