"""The inputs of a request, run concurrently."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from app.errors import EngineFailed
from app.tasks.concurrently import interleaved

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
