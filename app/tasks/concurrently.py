"""All inputs of a request at once."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

Answer = TypeVar("Answer")


async def concurrently(work: Sequence[Coroutine[Any, Any, Answer]]) -> list[Answer]:
    """Results in order. The first failure cancels the others and is raised as it is; cancelling cancels all."""
    if len(work) == 1:
        return [await work[0]]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(item) for item in work]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]
