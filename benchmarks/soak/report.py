"""The result of a soak: a verdict, and tables in Markdown."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import table
from benchmarks.soak.flatness import Growth
from benchmarks.soak.ledger import Ledger, Outcome

_BEGIN, _END = "<!-- soak -->", "<!-- end of soak -->"


@dataclass(frozen=True, kw_only=True)
class Result:
    """All that a soak found. `most_growth` is the limit of memory as a share; `problems` are failures beside requests
    and memory."""

    about: str
    seconds: float
    ledger: Ledger
    growths: Sequence[Growth]
    faults: Counter[str]
    retries: Counter[Outcome]
    slowest_recovery: float
    most_growth: float
    problems: Sequence[str]

    def failures(self) -> list[str]:
        """The reasons for which the soak failed; empty if it passed."""
        found = [*self.problems]
        if lost := self.ledger.total(Outcome.LOST):
            found.append(f"{lost} requests were lost")
        if wrong := self.ledger.total(Outcome.WRONG):
            found.append(f"{wrong} answers were wrong")
        if unanswered := self.retries.total() - self.retries[Outcome.ANSWERED] - self.retries[Outcome.REFUSED]:
            found.append(f"{unanswered} retries after the end of a worker were not answered")
        found += [
            f"memory of {growth.what} grew by {growth.share:.1%} (limit {self.most_growth:.1%})"
            for growth in self.growths
            if growth.judged and growth.share > self.most_growth
        ]
        return found

    def markdown(self) -> str:
        """The report."""
        failures = self.failures()
        verdict = "**Failed:** " + "; ".join(failures) + "." if failures else self._passed()
        parts = [self.about, verdict, _requests(self.ledger), self._figures(), _memory(self.growths)]
        if self.ledger.failures:
            parts.append("\n".join(["First failures:", "", *(f"- `{line}`" for line in self.ledger.failures[:10])]))
        return "\n\n".join(parts) + "\n"

    def _passed(self) -> str:
        judged = [growth.share for growth in self.growths if growth.judged]
        memory = f"memory grew by at most {max(judged):.1%}" if judged else "too short to judge memory"
        return f"**Passed:** nothing lost, no wrong answer, {memory}."

    def _figures(self) -> str:
        refused = ", ".join(f"{count} {slug}" for slug, count in self.ledger.refusals.most_common())
        faults = ", ".join(f"{count} x {what}" for what, count in sorted(self.faults.items()))
        retried = ", ".join(f"{count} {outcome}" for outcome, count in sorted(self.retries.items()))
        rows = [
            ("minutes", f"{self.seconds / 60:.1f}"),
            ("answers per second", f"{self.ledger.total(Outcome.ANSWERED) / self.seconds:.0f}"),
            ("slowest answer to one of the clients, s", f"{self.ledger.longest.get('clients', 0.0):.1f}"),
            ("slowest recovery of a process, s", f"{self.slowest_recovery:.1f}"),
            ("faults", faults or "none"),
            ("retries after the end of a worker", retried or "none"),
            ("reasons of refusals", refused or "none"),
        ]
        return table(("figure", "value"), rows, words=("figure", "value"))


def _requests(ledger: Ledger) -> str:
    """A row for each actor, and their sum."""
    heads = ("actor", "sent", *Outcome)
    rows = [
        (actor, str(sent), *(str(ledger.outcomes[actor, outcome]) for outcome in Outcome))
        for actor, sent in sorted(ledger.sent.items())
    ]
    rows.append(("all", str(ledger.sent.total()), *(str(ledger.total(outcome)) for outcome in Outcome)))
    return table(heads, rows, words=("actor",))


def _memory(growths: Sequence[Growth]) -> str:
    """The first and the last third."""
    heads = (
        "process",
        "floor, MB",
        "growth",
        "judged",
        "median, MB",
        "peak, MB",
        "USS, MB",
        "PSS, MB",
        "RSS, MB",
        "open files",
        "threads",
    )
    rows = [
        (
            growth.what,
            _megabytes(growth.floor),
            f"{growth.share:+.1%}",
            "yes" if growth.judged else "no",
            _megabytes(growth.median),
            _megabytes(growth.peak),
            _megabytes(growth.uss),
            _megabytes(growth.pss),
            _megabytes(growth.rss),
            _pair(growth.files),
            _pair(growth.threads),
        )
        for growth in growths
    ]
    return table(heads, rows, words=("process",)) if rows else "Too short to compare memory."


def _megabytes(pair: tuple[float, float]) -> str:
    return f"{pair[0] / 1e6:.1f} → {pair[1] / 1e6:.1f}"


def _pair(pair: tuple[float, float]) -> str:
    return f"{pair[0]:.0f} → {pair[1]:.0f}"


def write_into(page: Path, text: str) -> None:
    """Replace the part of a page between its two marks. Raises ValueError if they are missing."""
    content = page.read_text(encoding="utf8")
    before, begin, rest = content.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{page} has no part between {_BEGIN} and {_END}")
    page.write_text(f"{before}{begin}\n{text.strip()}\n{end}{after}", encoding="utf8")
