"""Sentences from an engine, the same for captioning and translation: whole, or as they come."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import msgspec

from app.engine.client import EngineClient
from app.engine.cost import encode_steps
from app.engine.protocol import Decode, Decoded, Pixels, Terms
from app.tasks.answers.decoding_options import MOST_SEED
from app.tasks.answers.results import SentenceResult, Usage
from app.tasks.answers.transcript import Delta, Job, Spoken, Transcript, spoken_of
from app.tasks.concurrently import concurrently, interleaved

_EMITTED_SHARE = 0.25  # of `max_tokens`, as most sentences end long before


def emit_of(emit: Decode, number: int) -> Decode:
    """What is asked for input `number` of a request: equal inputs are drawn anew."""
    if not emit.temperature or not number:
        return emit
    return msgspec.structs.replace(emit, seed=(emit.seed + number) & MOST_SEED)


def steps_of(jobs: Sequence[Job]) -> float:
    """Cell steps that they will take, as far as that is known before."""
    sources = sum(encode_steps(job.source) for job in jobs)
    return sources + sum(_EMITTED_SHARE * job.emit.max_tokens * job.emit.beams for job in jobs)


async def speak_all(client: EngineClient, jobs: Sequence[Job], terms: Terms) -> list[Spoken]:
    """A sentence for each input, in order."""
    return await concurrently([_speak(client, job, terms) for job in jobs])


async def _speak(client: EngineClient, job: Job, terms: Terms) -> Spoken:
    key = job.entry.manifest.key
    if not job.stops or job.emit.beams > 1:
        return spoken_of(job, await client.answer(key, job.source, job.emit, terms))
    async with aclosing(_stream(client, job, terms)) as items:
        async for item in items:
            if isinstance(item, Spoken):
                return item
    raise AssertionError("a stream ends with the whole")


def stream_all(
    client: EngineClient, jobs: Sequence[Job], terms: Terms
) -> AsyncGenerator[tuple[int, Delta | Spoken], None]:
    """What comes of each input as it comes, with the input's place; the whole is the last of each."""
    return interleaved([_stream(client, job, terms) for job in jobs])


async def _stream(client: EngineClient, job: Job, terms: Terms) -> AsyncGenerator[Delta | Spoken, None]:
    """After a stop string the engine is told to go no further."""
    key = job.entry.manifest.key
    transcript = Transcript(job)
    last: Decoded | None = None
    async with aclosing(client.stream(key, job.source, job.emit, terms)) as events:
        async for event in events:
            if isinstance(event, Decoded):
                last = event
                break
            for delta in transcript.hear(event):
                yield delta
            if transcript.is_stopped:
                break
    rest, spoken = transcript.end(last)
    if rest is not None:
        yield rest
    yield spoken


def summed(jobs: Sequence[Job], spoken: Sequence[Spoken]) -> tuple[list[SentenceResult], Usage]:
    """Results, and what they took."""
    usage = Usage(
        inputs=len(jobs),
        source_tokens=sum(0 if isinstance(job.source, Pixels) else len(job.source.ids) for job in jobs),
        emitted_tokens=sum(item.emitted_tokens for item in spoken),
    )
    return [item.result for item in spoken], usage
