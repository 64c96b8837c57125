"""The jobs of a request, which can be prepared once more: their version may be unloaded before an engine runs them."""

import asyncio
from collections.abc import Awaitable, Callable

from app.tasks.job import Job
from app.tasks.task import Task

_FOLLOW_SECONDS = 0.05  # in which a front end knows of a change by another one


class Jobs(list[Job]):
    """A job for each input of a request to a task. `prepare` makes them. If the request `names_version`, no other can
    answer."""

    def __init__(self, task: Task, prepare: Callable[[], Awaitable[list[Job]]], *, names_version: bool) -> None:
        super().__init__()
        self.task = task
        self._prepare = prepare
        self.names_version = names_version

    async def begin(self) -> None:
        """Prepare the jobs."""
        self[:] = await self._prepare()

    async def renew(self) -> None:
        """Prepare the jobs again, for the version that is the default now."""
        await asyncio.sleep(_FOLLOW_SECONDS)
        await self.begin()
