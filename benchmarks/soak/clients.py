"""Clients that behave: closed loops, short deadlines, and bursts."""

import asyncio
import time
from dataclasses import replace

from benchmarks.soak.asking import Run, Sender
from benchmarks.soak.ledger import Outcome
from benchmarks.soak.questions import Question
from benchmarks.soak.store import SECOND

_BURST_SECONDS, _BURST_EVERY = 3.0, 20.0
_MOST_IN_A_BURST = 1500
_BURST_DEADLINE = {"X-Timeout-Ms": "1500"}


async def client(run: Run, number: int, pace: float) -> None:
    """Ask any question, and the next one after the answer."""
    source, sender = run.random(f"client {number}"), Sender(run, "clients")
    while run.goes_on:
        await sender.ask_again_if_killed(source.choice(run.questions))
        await run.pause(source.expovariate(1 / pace) if pace else 0)
    sender.hang_up()


async def client_of_a_version(run: Run, model: str) -> None:
    """Ask for a version that the administrator loads and unloads."""
    source, sender = run.random("version"), Sender(run, "clients of a version that comes and goes")
    plain = [question for question in run.greedy if question.path == "/v1/translate"]
    while run.goes_on and plain:
        asked = source.choice(plain)
        body = asked.body.removesuffix(b"}") + f', "model": "{model}", "version": {SECOND}}}'.encode()
        await sender.ask(replace(asked, body=body))
        await run.pause(0.5)


async def short_deadlines(run: Run) -> None:
    """Answers are useful for some milliseconds only."""
    source, sender = run.random("deadlines"), Sender(run, "short deadlines")
    plain = run.greedy
    while run.goes_on:
        question = source.choice(plain)
        await sender.ask(question, headers={"X-Timeout-Ms": str(source.choice((1, 50, 300, 1000)))})
        await run.pause(0.1)


async def bursts(run: Run) -> None:
    """Now and then, requests arrive at twice the rate of the answers so far, each on a connection of its own."""
    source = run.random("bursts")
    plain = run.greedy
    began, before = time.monotonic(), run.ledger.total(Outcome.ANSWERED)
    while run.goes_on:
        await run.pause(_BURST_EVERY)
        rate = 2 * (run.ledger.total(Outcome.ANSWERED) - before) / (time.monotonic() - began)
        count = min(_MOST_IN_A_BURST, int(rate * _BURST_SECONDS))
        if not run.goes_on or not count:
            continue
        asking = []
        for _ in range(count):
            asking.append(asyncio.create_task(_once(run, source.choice(plain))))
            await asyncio.sleep(_BURST_SECONDS / count)
        await asyncio.gather(*asking)


async def _once(run: Run, question: Question) -> None:
    sender = Sender(run, "bursts")
    await sender.ask(question, headers=_BURST_DEADLINE)
    sender.hang_up()
