"""The window of requests in flight, on a virtual clock."""

import pytest

from app.api.window import Window
from tests.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


def run(window: Window, clock: Clock, *, seconds: float, queue: float, needed: bool = False) -> None:
    for _ in range(int(seconds / 0.02)):
        clock.now += 0.02
        if needed:
            window.note_need()
        window.measure(queue)


def test_a_standing_queue_shrinks_it_to_the_least(clock: Clock) -> None:
    window = Window(least=16, most=1000, target=1, clock=clock)
    assert window.size == 1000
    run(window, clock, seconds=1, queue=2)
    assert 300 < window.size < 500
    run(window, clock, seconds=20, queue=2)
    assert window.size == 16


def test_a_burst_does_not(clock: Clock) -> None:
    """Some requests waited for long; the shortest queue time of each interval is short."""
    window = Window(least=16, most=1000, target=1, clock=clock)
    for _ in range(100):
        run(window, clock, seconds=0.08, queue=3)
        run(window, clock, seconds=0.04, queue=0.01)
    assert window.size > 900


def test_it_grows_only_when_it_is_needed(clock: Clock) -> None:
    window = Window(least=16, most=64, target=1, clock=clock)
    run(window, clock, seconds=20, queue=2)
    run(window, clock, seconds=20, queue=0.1)
    assert window.size == 16
    run(window, clock, seconds=2, queue=0.1, needed=True)
    assert 16 < window.size < 64
    run(window, clock, seconds=20, queue=0.1, needed=True)
    assert window.size == 64


def test_the_least_is_not_above_the_most(clock: Clock) -> None:
    assert Window(least=128, most=4, target=1, clock=clock).size == 4
