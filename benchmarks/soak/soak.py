"""The course of a soak: right answers, then all actors and faults at the same time, then SIGTERM under load."""

import asyncio
import os
import signal
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import psutil

from benchmarks.service import Service
from benchmarks.soak.administration import administrator, probes
from benchmarks.soak.asking import PATIENCE, Run, Sender
from benchmarks.soak.bad_requests import bad_input, large_heads, malformed, oversize
from benchmarks.soak.clients import bursts, client, client_of_a_version, short_deadlines
from benchmarks.soak.faults import Faults
from benchmarks.soak.flatness import END
from benchmarks.soak.ledger import Outcome
from benchmarks.soak.log_reader import LogReader
from benchmarks.soak.processes import Processes, Sampling
from benchmarks.soak.questions import Question
from benchmarks.soak.rude_clients import hang_ups, idle_connections, slow_readers, slow_senders, stalled_senders

_LEAST_GAP, _MOST_GAP = 3.0, 30.0  # seconds between faults
_FAULTS = 40  # of a soak with medium gaps
_DRAIN_SECONDS = 40.0  # the service allows 20 and some
_FULL_LOAD_SECONDS = 1.0  # before SIGTERM


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`pace` is the mean pause of a client between an answer and its next request."""

    seconds: float
    clients: int
    pace: float
    workers: int
    heartbeat_seconds: float
    seed: int
    faults: Sequence[str]


@dataclass
class Course:
    """What was seen in a soak, beside the ledger."""

    run: Run
    faults: Faults
    sampling: Sampling
    answers: list[tuple[float, int]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


async def soak(
    service: Service,
    plan: Plan,
    questions: Sequence[Question],
    slow: Question | None,
    model: str,
    log: LogReader,
    admin_key: str,
) -> Course:
    """Run all actors for the time of the plan. `model` has a second version that comes and goes."""
    processes = Processes(service.pid, plan.workers)
    run = Run(service.port, await with_right_answers(service.port, questions), admin_key, plan.seed)
    if slow is not None:
        (slow,) = await with_right_answers(service.port, [slow])
    began = time.monotonic()
    faults = Faults(run, processes, service.engines, log, plan.heartbeat_seconds, began)
    course = Course(run, faults, Sampling(processes, began))
    watching = [asyncio.create_task(course.sampling.run()), asyncio.create_task(_count(course, began))]
    actors = [asyncio.create_task(actor) for actor in _actors(run, plan, slow, model)]
    gap = min(_MOST_GAP, max(_LEAST_GAP, plan.seconds / _FAULTS))
    await faults.cause(plan.faults, gap, END * plan.seconds)
    await run.pause(END * plan.seconds - faults.time())
    if plan.faults:
        await faults.kill_oldest()
    await run.pause(plan.seconds - faults.time())
    run.stopped.set()
    await _ended(course, actors)
    for task in watching:
        task.cancel()
    await terminate_under_load(course, service, plan)
    run.ledger.close_rest()
    course.problems += faults.problems
    return course


async def with_right_answers(port: int, questions: Sequence[Question]) -> list[Question]:
    """Each question with its answer by an otherwise idle service. These requests are in no ledger."""
    run = Run(port, questions, "", 0)
    sender, answered = Sender(run, "clients"), []
    for question in questions:
        end, answer = await sender.ask(question)
        if end.outcome is not Outcome.ANSWERED or answer is None:
            raise RuntimeError(f"{question.route} has no answer before the soak: {end}")
        answered.append(replace(question, right=question.reading(answer.body)))
    sender.hang_up()
    return answered


def _actors(run: Run, plan: Plan, slow: Question | None, model: str) -> list[Coroutine[Any, Any, None]]:
    return [
        *(client(run, number, plan.pace) for number in range(plan.clients)),
        client_of_a_version(run, model),
        short_deadlines(run),
        bursts(run),
        hang_ups(run),
        slow_senders(run),
        *(stalled_senders(run, number) for number in range(3)),
        *(idle_connections(run, number) for number in range(5)),
        *([] if slow is None else [slow_readers(run, slow)]),
        malformed(run),
        large_heads(run),
        bad_input(run),
        oversize(run),
        administrator(run, model),
        probes(run),
    ]


async def _count(course: Course, began: float) -> None:
    """The number of answers over time."""
    while True:
        course.answers.append((time.monotonic() - began, course.run.ledger.total(Outcome.ANSWERED)))
        await asyncio.sleep(5)


async def _ended(course: Course, actors: Sequence[asyncio.Task[None]]) -> None:
    """Let every actor end its last request. An actor that fails is a mistake of the soak."""
    ended, late = await asyncio.wait(actors, timeout=PATIENCE)
    for task in late:
        task.cancel()
    course.problems += [f"an actor failed: {error!r}" for task in ended if (error := task.exception()) is not None]


async def terminate_under_load(course: Course, service: Service, plan: Plan) -> None:
    """SIGTERM while clients run: each request is answered, until the port accepts no connection."""
    run = course.run
    run.stopped.clear()
    actors = [asyncio.create_task(_until_refused(run, number)) for number in range(plan.clients)]
    await asyncio.sleep(_FULL_LOAD_SECONDS)
    run.draining = True
    os.kill(service.pid, signal.SIGTERM)
    course.faults.marks.append((course.faults.time(), "service terminated"))
    await _ended(course, actors)
    try:
        status = await asyncio.to_thread(psutil.Process(service.pid).wait, _DRAIN_SECONDS)
    except psutil.TimeoutExpired:
        course.problems.append(f"the service did not end within {_DRAIN_SECONDS:.0f} s of SIGTERM")
    except psutil.NoSuchProcess:
        return
    else:
        if status != 0:
            course.problems.append(f"the service ended with status {status} after SIGTERM")


async def _until_refused(run: Run, number: int) -> None:
    source, sender = run.random(f"last client {number}"), Sender(run, "clients at SIGTERM")
    while run.goes_on:
        end, _ = await sender.ask(source.choice(run.questions))
        if end.outcome is not Outcome.ANSWERED:
            return
