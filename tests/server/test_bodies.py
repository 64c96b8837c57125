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
    return Bodies(ConnectionLimits(bodies=8, body_bytes=1_000_000), clock)


@pytest.fixture
def given_up() -> list[str]:
    return []


def begin(bodies: Bodies, given_up: list[str], name: str, sender: str = "address", *, has_key: bool = False) -> Body:
    return bodies.begin(lambda reason: given_up.append(name), sender, has_key=has_key)


def test_the_slowest_makes_room(bodies: Bodies, clock: Clock, given_up: list[str]) -> None:
    many = [begin(bodies, given_up, str(number)) for number in range(8)]
    clock.now += 2
    for number, body in enumerate(many):
        bodies.receive(body, 10 if number == 5 else 100)
    bodies.make_room(begin(bodies, given_up, "new"))
    assert given_up == ["5"]
    assert len(bodies) == 8


def test_a_new_one_is_not_slow(bodies: Bodies, clock: Clock, given_up: list[str]) -> None:
    """A flood of bodies of one byte gives up its own."""
    steady = begin(bodies, given_up, "steady")
    for number in range(50):
        clock.now += 0.01
        bodies.receive(steady, 15_000)
        small = begin(bodies, given_up, str(number))
        bodies.receive(small, 1)
        bodies.make_room(small)
    assert given_up == [str(number) for number in range(43)]


def test_the_sender_with_most_makes_room(bodies: Bodies, clock: Clock, given_up: list[str]) -> None:
    begin(bodies, given_up, "slow", "other")
    clock.now += 5
    for number in range(8):
        clock.now += 0.1
        bodies.make_room(begin(bodies, given_up, str(number), "flood"))
    assert given_up == ["0"]


def test_one_key_holds_a_quarter(bodies: Bodies, clock: Clock, given_up: list[str]) -> None:
    begin(bodies, given_up, "other", "key b", has_key=True)
    for number in range(2):
        bodies.receive(begin(bodies, given_up, str(number), "key a", has_key=True), 10 * (number + 1))
    clock.now += 2
    bodies.make_room(begin(bodies, given_up, "third", "key a", has_key=True))
    assert given_up == ["0"]


def test_bytes_of_complete_bodies_do_not_lock_small_ones_out(bodies: Bodies, clock: Clock, given_up: list[str]) -> None:
    """Unless there are so many that twice the limit is exceeded."""
    for number in range(12):
        held = begin(bodies, given_up, str(number), "heavy")
        bodies.receive(held, 100_000)
        bodies.complete(held)
    small = begin(bodies, given_up, "small")
    bodies.receive(small, 5_000)
    clock.now += 1
    bodies.make_room(small)
    assert given_up == []
    large = begin(bodies, given_up, "large", "heavy")
    bodies.receive(large, 100_000)
    bodies.make_room(small)
    assert given_up == ["large"]
    bodies.receive(begin(bodies, given_up, "other small"), 15_000)
    held = begin(bodies, given_up, "last", "heavy")
    bodies.receive(held, 800_000)
    bodies.complete(held)
    bodies.make_room(small)
    assert given_up == ["large", "small"]


def test_bytes_are_bounded_until_requests_end(bodies: Bodies, clock: Clock, given_up: list[str]) -> None:
    held = begin(bodies, given_up, "complete")
    bodies.receive(held, 800_000)
    bodies.complete(held)
    stopped, steady, small = (begin(bodies, given_up, name) for name in ("stopped", "steady", "small"))
    bodies.receive(small, 10)
    bodies.receive(stopped, 100_000)
    clock.now += 2
    bodies.receive(steady, 190_000)
    bodies.make_room(steady)
    assert given_up == ["stopped"]
    assert bodies.bytes == 990_010  # its bytes no longer count
    bodies.make_room(steady)
    for body in (held, stopped, steady, small):
        bodies.end(body)
    assert given_up == ["stopped"]
    assert (bodies.bytes, len(bodies)) == (0, 0)
