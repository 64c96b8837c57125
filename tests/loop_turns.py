"""The turns of an event loop, by the processor time of its thread, which other processes hardly change."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise


@asynccontextmanager
async def turns_of_loop(pause: float = 0.0) -> AsyncIterator[list[float]]:
    """The processor time of each turn in the block, complete after it. `pause`: seconds between two looks."""
    looks = [time.thread_time()]
    turns: list[float] = []

    async def look() -> None:
        while True:
            looks.append(time.thread_time())
            await asyncio.sleep(pause)

    looking = asyncio.create_task(look())
    await asyncio.sleep(0)
    yield turns
    looking.cancel()
    looks.append(time.thread_time())
    turns += [later - sooner for sooner, later in pairwise(looks)]
