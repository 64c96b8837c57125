"""The inputs of a request, run concurrently."""

import asyncio
import gc
from collections.abc import AsyncGenerator

import pytest

from app.errors import EngineFailed
from app.tasks.concurrently import concurrently, interleaved

closed: list[str] = []


async def counting(name: str, count: int, *, fails: bool = False) -> AsyncGenerator[str, None]:
    try:
        for number in range(count):
            await asyncio.sleep(0)
            yield f"{name}{number}"
        if fails:
            raise EngineFailed("no")
        if count > 100:
            await asyncio.sleep(60)
    finally:
        closed.append(name)


def test_items_come_in_order_of_their_source_and_mixed() -> None:
    async def run() -> list[tuple[int, str]]:
        return [item async for item in interleaved([counting("a", 3), counting("b", 2), counting("c", 0)])]

    items = asyncio.run(run())
    assert [item for place, item in items if place == 0] == ["a0", "a1", "a2"]
    assert [item for place, item in items if place == 1] == ["b0", "b1"]
    assert items != sorted(items)


def test_failure_closes_the_others_and_is_raised_as_it_is() -> None:
    async def run() -> None:
        async for _ in interleaved([counting("long", 101), counting("bad", 1, fails=True)]):
            pass

    closed.clear()
    with pytest.raises(EngineFailed):
        asyncio.run(run())
    assert sorted(closed) == ["bad", "long"]


def test_closing_closes_all() -> None:
    async def run() -> None:
        items = interleaved([counting("one", 101), counting("two", 101)])
        await anext(items)
        await items.aclose()

    closed.clear()
    asyncio.run(run())
    assert sorted(closed) == ["one", "two"]


MANY = 1024


async def most_in_a_turn(begun: list[int], work: asyncio.Future[None] | asyncio.Task[None]) -> int:
    """The number of inputs that begin in one turn of the event loop, at most."""
    most = before = 0
    while not work.done():
        await asyncio.sleep(0)
        most, before = max(most, len(begun) - before), len(begun)
    await work
    return most


def test_many_inputs_are_started_in_several_turns() -> None:
    begun: list[int] = []

    async def one(number: int) -> int:
        begun.append(number)
        await asyncio.sleep(0.05)
        return number

    async def whole() -> None:
        assert await concurrently([one(number) for number in range(MANY)]) == [*range(MANY)]

    async def run() -> int:
        return await most_in_a_turn(begun, asyncio.create_task(whole()))

    assert asyncio.run(run()) < MANY / 8
    assert begun == [*range(MANY)]


def test_many_streams_are_started_in_several_turns() -> None:
    begun: list[int] = []

    async def one(number: int) -> AsyncGenerator[int, None]:
        begun.append(number)
        await asyncio.sleep(0.05)
        yield number

    async def whole() -> None:
        assert {place async for place, _ in interleaved([one(number) for number in range(MANY)])} == {*range(MANY)}

    async def run() -> int:
        return await most_in_a_turn(begun, asyncio.create_task(whole()))

    assert asyncio.run(run()) < MANY / 8


@pytest.mark.filterwarnings("error")
def test_a_failure_while_inputs_are_started_is_raised_as_it_is() -> None:
    begun: list[int] = []

    async def one(number: int) -> None:
        begun.append(number)
        if number == 3:
            raise EngineFailed("no")
        await asyncio.sleep(60)

    async def run() -> None:
        await concurrently([one(number) for number in range(MANY)])

    with pytest.raises(EngineFailed):
        asyncio.run(run())
    gc.collect()
    assert len(begun) < MANY
