"""What the routes share: the tasks, and the way from an accepted request to its answer."""

import asyncio
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from starlette.requests import ClientDisconnect

from app.engine.client import EngineClient
from app.errors import NotReady, Overloaded, TimedOut, TooManyInputs
from app.metrics import Metrics
from app.tasks.catalog import Catalog
from app.tasks.results import Usage

Answer = TypeVar("Answer")
Task = TypeVar("Task")


@dataclass(frozen=True)
class Limits:
    """Inputs of one request, inputs accepted and not yet answered, seconds for one request."""

    inputs: int
    pending: int
    seconds: float


class Service:
    """Tasks behind admission: everything that one front end serves."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        client: EngineClient,
        metrics: Metrics,
        tasks: Iterable[object],
        limits: Limits,
    ) -> None:
        self.catalog = catalog
        self.client = client
        self.metrics = metrics
        self._tasks = {type(task): task for task in tasks}
        self._limits = limits
        self._admitted = 0

    def task(self, kind: type[Task]) -> Task:
        """The task of a class, such as `Sentiment`."""
        task = self._tasks[kind]
        assert isinstance(task, kind)
        return task

    @property
    def most_inputs(self) -> int:
        """Inputs of one request: no more than may ever wait, or such a request would be sent again for ever."""
        return min(self._limits.inputs, self._limits.pending)

    def check_count(self, inputs: int) -> None:
        """Raises TooManyInputs."""
        if inputs > self.most_inputs:
            raise TooManyInputs(
                f"the request has {inputs} inputs; at most {self.most_inputs} are taken: send several requests",
                limit=self.most_inputs,
            )

    async def answer(
        self, request: Request, work: Coroutine[Any, Any, tuple[Answer, Usage]], *, task: str, inputs: int
    ) -> tuple[Answer, Usage]:
        """Run the `work` of a task for `inputs` inputs while the client listens, and count it.

        Raises NotReady, Overloaded, TimedOut, and ClientDisconnect when the client hangs up, which cancels the work.
        """
        try:
            self._admit(inputs)
        except Exception:
            work.close()
            raise
        working = asyncio.create_task(work)
        hang_up = asyncio.create_task(_hang_up(request))
        try:
            done, _ = await asyncio.wait(
                {working, hang_up}, timeout=self._limits.seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if working in done:
                results, usage = working.result()
                self.metrics.inputs.labels(task).inc(usage.inputs)
                self.metrics.source_tokens.labels(task).inc(usage.source_tokens)
                self.metrics.emitted_tokens.labels(task).inc(usage.emitted_tokens)
                return results, usage
            if hang_up in done:
                raise ClientDisconnect
            raise TimedOut(f"no answer within {self._limits.seconds:g} seconds; send less at once or try again later")
        finally:
            self._admitted -= inputs
            for started in (working, hang_up):
                started.cancel()
            await asyncio.gather(working, hang_up, return_exceptions=True)

    def _admit(self, inputs: int) -> None:
        self.check_count(inputs)
        if not self.client.view.any_started:  # later a request waits for the next engine instead
            self.metrics.refusals.labels("not-ready").inc()
            raise NotReady("no engine is ready yet; send it again when /readyz answers 200")
        if self._admitted + inputs > self._limits.pending:
            self.metrics.refusals.labels("overloaded").inc()
            raise Overloaded(
                f"{self._admitted} inputs are waiting and the request has {inputs}; at most {self._limits.pending} are "
                "accepted: send it again later"
            )
        self._admitted += inputs


async def _hang_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def service_of(request: Request) -> Service:
    """The service of the app that answers."""
    service: Service = request.app.state.service
    return service


ServiceDependency = Annotated[Service, Depends(service_of)]
