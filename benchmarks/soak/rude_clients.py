"""Clients that hang up, stall, read slowly, or hold connections without a request."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

from benchmarks.soak.asking import Run, Sender
from benchmarks.soak.ledger import End, Entry, Outcome
from benchmarks.soak.questions import Question, get
from benchmarks.soak.readings import json_object, native_stream
from benchmarks.soak.wire import Connection, Pace

_SLOW = Pace(bytes_per_second=200_000, size=16 * 1024)
_STALL_SECONDS = (5.0, 20.0, 90.0)
_IDLE_SECONDS = (2.0, 30.0, 100.0)
_UNREAD_SECONDS = 15.0
_HUNG_UP = End(Outcome.HUNG_UP)
_HangUp = Callable[[Run, Connection, Question, Random], Awaitable[None]]


async def hang_ups(run: Run) -> None:
    """Close the connection in the middle of the head, of the body, after the request, or in the middle of a stream."""
    source, sender = run.random("hang-ups"), Sender(run, "hang-ups")
    streams = [question for question in run.questions if question.reading is native_stream]
    ways: list[_HangUp] = [_in_the_head, _in_the_body, _after_the_request, _in_the_stream]
    while run.goes_on:
        way = source.choice(ways)
        question = source.choice(streams if way is _in_the_stream else run.questions)
        async with sender.entered(question.route) as entry:
            await way(run, await sender.fresh(), question, source)
            sender.end(entry, _HUNG_UP)
        sender.hang_up()
        await run.pause(0.1)


async def _in_the_head(run: Run, connection: Connection, question: Question, source: Random) -> None:
    await connection.send(question.request({})[: source.randrange(1, 60)])


async def _in_the_body(run: Run, connection: Connection, question: Question, source: Random) -> None:
    await connection.send(question.request({})[: -source.randrange(1, 1 + len(question.body))])
    await run.pause(source.uniform(0, 0.5))


async def _after_the_request(run: Run, connection: Connection, question: Question, source: Random) -> None:
    await connection.send(question.request({}))
    await run.pause(source.uniform(0, 0.1))


async def _in_the_stream(run: Run, connection: Connection, question: Question, source: Random) -> None:
    await connection.send(question.request({}))
    await connection.piece()


async def slow_senders(run: Run) -> None:
    """Send a request in ten parts within two seconds, which is slow and allowed."""
    source, sender = run.random("slow senders"), Sender(run, "slow senders")
    plain = run.greedy
    while run.goes_on:
        question = source.choice(plain)
        content = question.request({})
        async with sender.entered(question.route) as entry:
            connection = await sender.fresh()
            for part in range(10):
                await connection.send(content[part * len(content) // 10 : (part + 1) * len(content) // 10])
                await asyncio.sleep(0.2)
            sender.end(entry, run.judged(entry, question, await connection.answer()))
        sender.hang_up()


async def stalled_senders(run: Run, number: int) -> None:
    """Send a part of a request, and then nothing: the service refuses it in time, or the client hangs up."""
    source, sender = run.random(f"stalled senders {number}"), Sender(run, "stalled senders")
    while run.goes_on:
        question = source.choice(run.questions)
        content = question.request({})
        async with sender.entered(question.route) as entry:
            connection = await sender.fresh()
            await connection.send(content[: source.randrange(1, len(content))])
            await _wait_for_an_answer(run, sender, entry, question, connection, source.choice(_STALL_SECONDS))
        sender.hang_up()


async def idle_connections(run: Run, number: int) -> None:
    """Hold a connection without a request."""
    source, sender = run.random(f"idle connections {number}"), Sender(run, "idle connections")
    while run.goes_on:
        async with sender.entered("none") as entry:
            connection = await sender.fresh()
            nothing = get("", json_object)
            await _wait_for_an_answer(run, sender, entry, nothing, connection, source.choice(_IDLE_SECONDS))
        sender.hang_up()


async def _wait_for_an_answer(
    run: Run, sender: Sender, entry: Entry, question: Question, connection: Connection, seconds: float
) -> None:
    """Read an answer, or hang up after `seconds`, or at the end of the soak."""
    reading = asyncio.ensure_future(connection.answer())
    stopping = asyncio.ensure_future(run.stopped.wait())
    try:
        await asyncio.wait({reading, stopping}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        sender.end(entry, run.judged(entry, question, reading.result()) if reading.done() else _HUNG_UP)
    finally:
        for task in (reading, stopping):
            task.cancel()


async def slow_readers(run: Run, question: Question) -> None:
    """Read a long stream in small parts, through a small buffer; or do not read at all, and hang up."""
    source, sender = run.random("slow readers"), Sender(run, "slow readers")
    while run.goes_on:
        if source.random() < 0.7:
            await sender.ask(question, pace=_SLOW)
            continue
        async with sender.entered(question.route) as entry:
            connection = await sender.fresh(receive_buffer=4096)
            await connection.send(question.request({}))
            await run.pause(_UNREAD_SECONDS)
            sender.end(entry, _HUNG_UP)
        sender.hang_up()
