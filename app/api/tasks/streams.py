"""Server-sent events of a native request that streams, by answer kind."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any

from app.api.events import event
from app.api.tasks.event_forms import StreamDone
from app.api.tasks.token_events import STREAMED_TOKENS, token_events
from app.api.tasks.value_events import STREAMED_VALUES, value_events
from app.store.description import AnswerName
from app.tasks.answers.usage import usage_of
from app.tasks.job import Job, Output
from app.tasks.task import Task

EventsOf = Callable[[int, Any], AsyncGenerator[bytes, None]]  # of an item, a delta or an output, of input number ...
_EVENTS: dict[AnswerName, EventsOf] = {"tokens": token_events, "values": value_events}
_DESCRIBED: dict[AnswerName, dict[str, Any]] = {"tokens": STREAMED_TOKENS, "values": STREAMED_VALUES}


def described_answer(task: Task) -> dict[str, Any]:
    """The OpenAPI response of a task, with its events if it streams."""
    return _DESCRIBED.get(task.answer.kind, {"description": task.face.results})


async def stream_events(
    task: Task, items: AsyncGenerator[tuple[int, Any], None], jobs: Sequence[Job]
) -> AsyncGenerator[bytes, None]:
    """The events of each delta and each output, and a last event with the usage."""
    outputs: dict[int, Output] = {}
    async with aclosing(items):
        async for index, item in items:
            if isinstance(item, Output):
                outputs[index] = item
            async for block in _EVENTS[task.answer.kind](index, item):
                yield block
    yield event("done", StreamDone(usage=usage_of(jobs, [outputs[index] for index in range(len(jobs))])))
