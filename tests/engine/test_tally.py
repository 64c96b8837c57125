"""What is counted of a version, and what is not."""

import asyncio

import pytest

from app.engine.tally import Counts, Tally
from app.errors import EngineFailed


def test_answers_and_failures_are_counted_by_version() -> None:
    tally = Tally()
    for _ in range(2):
        with tally.timing("a/1"):
            pass
    with pytest.raises(EngineFailed), tally.timing("a/1"):
        raise EngineFailed("no")
    counts = tally.of("a/1")
    assert (counts.answered, counts.failed) == (2, 1)
    assert counts.answered_ns > 0
    assert counts.failed_ns > 0
    assert counts.last > 0
    assert tally.of("a/2") == Counts()


@pytest.mark.parametrize("error", [asyncio.CancelledError, GeneratorExit])
def test_what_a_caller_gave_up_is_neither(error: type[BaseException]) -> None:
    tally = Tally()
    with pytest.raises(error), tally.timing("a/1"):
        raise error
    assert tally.of("a/1") == Counts()
