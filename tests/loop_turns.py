"""The turns of an event loop, by the calls of functions in each: as many on a slow machine as on a fast one."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any


@asynccontextmanager
async def turns_of_loop() -> AsyncIterator[list[int]]:
    """The calls of each turn in the block, complete after it. Work in other threads is not counted."""
    turns = [0]

    def count(_: FrameType, event: str, __: Any) -> None:
        if event in {"call", "c_call"}:
            turns[-1] += 1

    async def look() -> None:
        while True:
            turns.append(0)
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    await asyncio.sleep(0)
    sys.setprofile(count)
    try:
        yield turns
    finally:
        sys.setprofile(None)
        looking.cancel()
