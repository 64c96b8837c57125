"""How each actor's requests may end. The one place to change when the service refuses in a new way."""

import json
from dataclasses import dataclass

from app.api.problems import ALL_KINDS, MEDIA_TYPE
from benchmarks.soak.ledger import End, Outcome
from benchmarks.soak.readings import ProblemInStream, Read, Reading
from benchmarks.soak.wire import Answer

_SLUGS = {kind.slug: kind for kind in ALL_KINDS}
_BUSY = frozenset({"overloaded"})
_RESTARTED = frozenset({"not-ready"})  # of a worker that was started in place of a killed one
_AFTER_ENGINES = frozenset({"engine-failed"})
_UNLOADED = ("model-unavailable", "choose another version")  # by slug, or by message on interfaces without slugs
_ENGINES = 2  # that may end with a request until it is refused, because it may be the cause
RECOVERY_SECONDS = 45.0


@dataclass(frozen=True)
class Killed:
    """Numbers of processes that were killed: a moment ago, and of engines since the request was sent."""

    workers: int = 0
    engines: int = 0
    engines_during: int = 0


_NOTHING_KILLED = Killed()


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """`problems` are slugs, `after_worker` and `after_engine` further ones after such a process was killed. Answers
    with one of `statuses` need not be problems. `cut`: a deadline may end a text early. `closes`: the server may close
    the connection without an answer."""

    answered: bool = True
    problems: frozenset[str] = _BUSY
    after_worker: frozenset[str] = _RESTARTED
    after_engine: frozenset[str] = frozenset()
    statuses: frozenset[int] = frozenset()
    cut: bool = False
    closes: bool = False


EXPECTED: dict[str, Expectation] = {
    "clients": Expectation(),
    "clients of a version that comes and goes": Expectation(
        problems=_BUSY | {"model-not-found", "model-unavailable"},
    ),
    "short deadlines": Expectation(problems=_BUSY | {"timed-out", "model-not-loaded"}, cut=True),
    "bursts": Expectation(problems=_BUSY | {"timed-out"}, cut=True),
    "clients at SIGTERM": Expectation(),
    "hang-ups": Expectation(),
    "slow readers": Expectation(),
    "slow senders": Expectation(statuses=frozenset({408})),
    "stalled senders": Expectation(
        answered=False, problems=_BUSY | {"timed-out"}, statuses=frozenset({408}), closes=True
    ),
    "idle connections": Expectation(answered=False, statuses=frozenset({408}), closes=True),
    "malformed HTTP": Expectation(
        answered=False,
        problems=_BUSY | {"unreadable-body", "not-found", "method-not-allowed"},  # some have the head of a good request
        statuses=frozenset({400, 414, 431, 501, 505}),
        closes=True,
    ),
    "large heads": Expectation(answered=False, statuses=frozenset({431}), closes=True),
    "bad input": Expectation(
        answered=False,
        problems=_BUSY
        | {
            "invalid-request",
            "contradictory-options",
            "unreadable-body",
            "empty-input",
            "input-too-long",
            "too-many-inputs",
            "invalid-image",
            "unsupported-media",
            "model-not-found",
            "not-found",
            "method-not-allowed",
            "wrong-key",
        },
    ),
    "oversize bodies": Expectation(answered=False, problems=_BUSY | {"body-too-large"}),
    "administrator": Expectation(
        problems=frozenset(),
        after_worker=_RESTARTED | {"model-not-found"},  # the killed worker had unloaded it
        after_engine=frozenset({"not-ready"}),  # the killed engine was loading it
    ),
    "probes": Expectation(problems=frozenset()),
    "readiness": Expectation(problems=frozenset(), statuses=frozenset({503})),
}


def judged(
    expected: Expectation, answer: Answer, reading: Reading, right: Read | None, killed: Killed = _NOTHING_KILLED
) -> End:
    """The end that an answer is. `right` is the right answer, None if any readable one is."""
    allowed = expected.problems
    allowed |= expected.after_worker if killed.workers else frozenset()
    allowed |= expected.after_engine if killed.engines else frozenset()
    allowed |= _AFTER_ENGINES if killed.engines_during >= _ENGINES else frozenset()
    if answer.status != 200:
        return _refusal(expected, answer, allowed)
    if not expected.answered:
        return End(Outcome.WRONG, f"answered with 200: {_start(answer.body)}")
    try:
        read = reading(answer.body)
    except ProblemInStream as problem:
        slug = str(problem)
        # A stream that had begun cannot go on with another version after its engine was killed.
        is_said = slug in allowed or (killed.engines_during and any(part in slug for part in _UNLOADED))
        return End(Outcome.REFUSED if is_said else Outcome.LOST, slug)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        return End(Outcome.WRONG, f"cannot be read, {type(error).__name__}: {error}: {_start(answer.body)}")
    if right is None or read.agrees(right) or (read.cut and expected.cut and read.begins(right)):
        return End(Outcome.ANSWERED)
    return End(Outcome.WRONG, f"{read} instead of {right}")


def _refusal(expected: Expectation, answer: Answer, allowed: frozenset[str]) -> End:
    if answer.status in expected.statuses and answer.headers.get("content-type") != MEDIA_TYPE:
        return End(Outcome.REFUSED, str(answer.status))
    try:
        problem = json.loads(answer.body)
        slug = str(problem["type"]).removeprefix("/problems/")
    except (ValueError, KeyError, TypeError):
        return End(Outcome.LOST, f"{answer.status}, not a problem: {_start(answer.body)}")
    kind = _SLUGS.get(slug)
    if kind is None or kind.status != answer.status or answer.headers.get("content-type") != MEDIA_TYPE:
        return End(Outcome.WRONG, f"{answer.status} {slug} is not a documented problem")
    if kind.retry_after is not None and not answer.headers.get("retry-after", "").isdigit():
        return End(Outcome.WRONG, f"{slug} without Retry-After")
    if slug in allowed or answer.status in expected.statuses:
        return End(Outcome.REFUSED, slug)
    return End(Outcome.LOST, f"{answer.status} {slug}: {problem.get('detail')}")


def _start(body: bytes) -> str:
    return body[:200].decode(errors="replace")
