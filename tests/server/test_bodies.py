"""The bodies that are being read, on a virtual clock."""

import pytest

from app.server.bodies import Bodies, Body
from app.server.limits import ConnectionLimits
from tests.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def bodies(clock: Clock) -> Bodies:
    return Bodies(ConnectionLimits(bodies=8, body_bytes=1000), clock)


@pytest.fixture
def given_up() -> list[str]:
    return []


def begin(bodies: Bodies, given_up: list[str], name: str, caller: str = "") -> Body:
    return bodies.begin(caller, lambda reason: given_up.append(name))


def test_the_slowest_makes_room(bodies: Bodies, clock: Clock, given_up: list[str]) -> None:
    many = [begin(bodies, given_up, str(number)) for number in range(8)]
    clock.now += 2
    for number, body in enumerate(many):
        bodies.receive(body, 10 if number == 5 else 100)
    begin(bodies, given_up, "new")
    assert given_up == ["5"]
    assert len(bodies) == 8


def test_new_bodies_are_not_judged(bodies: Bodies, clock: Clock, given_up: list[str]) -> None:
    """Nothing of them has come yet. If all are new, the last one has no room."""
    begin(bodies, given_up, "old")
    clock.now += 2
    for number in range(8):
        begin(bodies, given_up, str(number))
    assert given_up == ["old"]
    begin(bodies, given_up, "last")
    assert given_up == ["old", "last"]


def test_one_key_holds_a_quarter(bodies: Bodies, clock: Clock, given_up: list[str]) -> None:
    begin(bodies, given_up, "other", "key b")
    for number in range(2):
        bodies.receive(begin(bodies, given_up, str(number), "key a"), 10 * (number + 1))
    clock.now += 2
    begin(bodies, given_up, "third", "key a")
    assert given_up == ["0"]


def test_bytes_are_bounded_until_requests_end(bodies: Bodies, clock: Clock, given_up: list[str]) -> None:
    held = begin(bodies, given_up, "complete")
    bodies.receive(held, 800)
    bodies.complete(held)
    slow, fast = (begin(bodies, given_up, name) for name in ("slow", "fast"))
    clock.now += 2
    bodies.receive(slow, 50)
    bodies.receive(fast, 200)
    assert given_up == ["slow"]
    for body in (held, slow, fast):
        bodies.end(body)
    assert (bodies.bytes, len(bodies)) == (0, 0)
