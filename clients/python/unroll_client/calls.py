"""A call of a task as a value: checked inputs and options, and the requests that carry them."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic

from unroll_client.bodies import Input, body_of, share_a_body
from unroll_client.results import ResultT
from unroll_client.sources import read_inputs, reads_files
from unroll_client.tasks import Task

_MAX_PART_BYTES = 8 * 2**20  # of files in one request; bodies with other members stay small


@dataclass(frozen=True)
class Call(Generic[ResultT]):
    """A task, its inputs and options. Of a part of a longer list, `first` is the place of the first input."""

    task: Task[ResultT]
    inputs: tuple[Input, ...]
    options: Mapping[str, Any]
    is_one: bool
    timeout_ms: int | None
    first: int = 0

    def part(self, start: int, end: int) -> "Call[ResultT]":
        """The call for some of the inputs. Input i of the whole keeps its seed, `seed` + i."""
        options = dict(self.options)
        if "seed" in options:
            options["seed"] += start
        return replace(self, inputs=self.inputs[start:end], options=options, first=self.first + start)

    def parts(self, max_inputs: int) -> "Iterator[Call[ResultT]]":
        """Calls of at most `max_inputs` inputs that one request can carry and, of files, of bounded size."""
        start = size = 0
        for place, item in enumerate(self.inputs):
            is_full = place - start == max_inputs or size + item.size > _MAX_PART_BYTES
            if place > start and (is_full or not share_a_body(self.inputs[start], item)):
                yield self.part(start, place)
                start, size = place, 0
            size += item.size
        yield self.part(start, len(self.inputs))

    def request(self, *, stream: bool = False) -> dict[str, Any]:
        """Arguments of httpx for the request. Raises TypeError for inputs that one request cannot carry."""
        options = {**self.options, "stream": True} if stream else self.options
        return {"method": "POST", "url": self.task.path, **body_of(self.inputs, options)}


def make_call(task: Task[ResultT], inputs: Any, options: Mapping[str, Any]) -> Call[ResultT]:
    """Reads and checks inputs, and checks the names of options before a large body is sent. Raises TypeError and
    OSError."""
    if task.options is not None and (unknown := sorted(options.keys() - task.options.__optional_keys__)):
        known = ", ".join(sorted(task.options.__optional_keys__))
        raise TypeError(f"{task.name} has no option {', '.join(unknown)}; its options are {known}")
    read, is_one = read_inputs(task.sources, inputs)
    given = {name: item for name, item in options.items() if item is not None}
    timeout_ms = given.pop("timeout_ms", None)
    return Call(task, read, given, is_one, timeout_ms)


async def make_call_async(task: Task[ResultT], inputs: Any, options: Mapping[str, Any]) -> Call[ResultT]:
    """`make_call` that reads files in a thread, beside the event loop."""
    if reads_files(task.sources):
        return await asyncio.to_thread(make_call, task, inputs, options)
    return make_call(task, inputs, options)
