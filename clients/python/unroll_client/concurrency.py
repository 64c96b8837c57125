"""Several jobs at a time, for both clients: in threads, and as asyncio tasks."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def run_threads(jobs: Sequence[Callable[[], T]], *, limit: int) -> list[T]:
    """The results in order. When a job fails, its error is raised and jobs that have not started never start."""
    with ThreadPoolExecutor(limit) as pool:
        futures = [pool.submit(job) for job in jobs]
        try:
            return [future.result() for future in futures]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


async def run_tasks(jobs: Sequence[Callable[[], Awaitable[T]]], *, limit: int) -> list[T]:
    """The results in order. When a job fails, its error is raised and the others are cancelled."""
    places = asyncio.Semaphore(limit)

    async def run(job: Callable[[], Awaitable[T]]) -> T:
        async with places:
            return await job()

    tasks = [asyncio.create_task(run(job)) for job in jobs]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
