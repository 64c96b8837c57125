"""Runs the inputs of a request concurrently."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

_AT_ONCE = 32  # inputs that are started in one turn of the event loop
Answer = TypeVar("Answer")
Item = TypeVar("Item")


async def concurrently(work: Sequence[Coroutine[Any, Any, Answer]]) -> list[Answer]:
    """Results in order. The first failure cancels the others and is raised; a cancellation cancels all."""
    if len(work) == 1:
        return [await work[0]]
    tasks: list[asyncio.Task[Answer]] = []
    try:
        async with asyncio.TaskGroup() as group:
            for item in work:
                tasks.append(group.create_task(item))
                await _pause_after(len(tasks))
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    finally:
        for item in work[len(tasks) :]:
            item.close()
    return [task.result() for task in tasks]


async def interleaved(sources: Sequence[AsyncGenerator[Item, None]]) -> AsyncGenerator[tuple[int, Item], None]:
    """Items as they come, each with the index of its source. The first failure closes the other sources and is raised;
    closing this generator closes all sources."""
    arrived: asyncio.Queue[tuple[int, Item] | Exception | None] = asyncio.Queue()

    async def forward(place: int, source: AsyncGenerator[Item, None]) -> None:
        try:
            async with aclosing(source):
                async for item in source:
                    arrived.put_nowait((place, item))
        except Exception as error:
            arrived.put_nowait(error)
        else:
            arrived.put_nowait(None)

    tasks: list[asyncio.Task[None]] = []
    running = len(sources)
    try:
        for place, source in enumerate(sources):
            tasks.append(asyncio.create_task(forward(place, source)))
            await _pause_after(len(tasks))
        while running:
            item = await arrived.get()
            if isinstance(item, Exception):
                raise item
            if item is None:
                running -= 1
            else:
                yield item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pause_after(started: int) -> None:
    if started % _AT_ONCE == 0:
        await asyncio.sleep(0)
