"""Inputs of a request to jobs, and jobs to outputs, for any task."""

import dataclasses
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from app.engine.carrying import check_pools
from app.engine.check import least_steps
from app.engine.client import EngineClient, EngineView
from app.engine.protocol import Terms
from app.errors import InputError, InputTooShort, ModelNotFound, StateMismatch, UnknownLanguage
from app.store.description import SourceName
from app.tasks.answers.limits import AnswerLimits
from app.tasks.catalog import Catalog, Entry
from app.tasks.concurrently import interleaved
from app.tasks.job import Following, Job, Output, ReadSource
from app.tasks.options import LanguagePair, TaskOptions
from app.tasks.sources.source_kind import Reader
from app.tasks.states.carrying import Carrying, check_entries, check_model, opened
from app.tasks.states.options import check_options
from app.tasks.task import Task
from app.turns import Pauses

_INPUTS: dict[SourceName, str] = {"text": "a text", "image": "an image", "series": "a series", "frames": "a clip"}


async def prepare(
    task: Task,
    inputs: Sequence[Any],
    options: TaskOptions,
    *,
    model: str | None,
    version: int | None,
    catalog: Catalog,
    engines: EngineView,
    reader: Reader,
    limits: AnswerLimits,
    deadline: float | None,
    session: Carrying | None = None,
) -> list[Job]:
    """A job for each input, in order; `session` is what those of a session carry. Checks that need no reading of inputs
    come first. Raises InputTooShort, and what the source and the answer raise."""
    task.source.check(inputs, reader.limits, options)
    if session is None:
        carrying = opened(options, reader.keys, returns=task.answer.keeps_states)
    else:
        check_options(options, "session")
        carrying = session
    if carrying.start is not None:
        check_model(carrying.start, model, version)
        model, version = carrying.start.model, carrying.start.version
    try:
        entries = _entries(task, inputs, options, model, version, catalog, engines)
    except ModelNotFound as error:
        if carrying.start is None:
            raise
        raise StateMismatch(f"state is one of {model}/{version}, which cannot answer here: {error.detail}") from None
    if carrying.is_on:
        check_entries(carrying, entries)
        reader = dataclasses.replace(reader, carrying=carrying)
    plans = {id(entry): task.answer.plan(entry, options) for entry in entries}
    pieces = task.answer.needs_pieces(options)
    sources = await task.source.read(inputs, entries, reader, options, pieces=pieces, deadline=deadline)

    pauses = Pauses()

    async def job(entry: Entry, read: ReadSource, index: int) -> Job:
        plan = plans[id(entry)]
        _check_length(entry, read, least_steps(entry.manifest, plan), index)
        request = task.answer.request(plan, entry, read, options, index)
        if read.carry is not None and read.carry.start is not None:
            check_pools(entry.manifest, read.carry.start, request)
        following = [Following(separator, await job(entry, other, index)) for separator, other in read.following]
        await pauses.pause()
        return Job(entry, read, request, options, following)

    jobs = [await job(entry, read, index) for index, (entry, read) in enumerate(zip(entries, sources, strict=True))]
    task.answer.check(jobs, options, limits)
    return jobs


def _check_length(entry: Entry, read: ReadSource, least: int, index: int) -> None:
    """Raises InputTooShort."""
    manifest = entry.manifest
    if read.steps < least:
        is_sentence = manifest.source == "text" and (read.part or read.following)
        what = f"sentence {read.part + 1} of inputs[{index}]" if is_sentence else f"inputs[{index}]"
        unit = "token" if manifest.source == "text" else "step"
        count = f"{read.steps} {unit}{'' if read.steps == 1 else 's'}"
        raise InputTooShort(
            f"{what} has {count}; {manifest.name} needs {least}: send {least - read.steps} more",
            input=index,
            limit=least,
        )


def _entries(
    task: Task,
    inputs: Sequence[Any],
    options: TaskOptions,
    model: str | None,
    version: int | None,
    catalog: Catalog,
    engines: EngineView,
) -> list[Entry]:
    """The version that answers each input: the named one, or the default of its kind and language."""
    source, selection = task.source, task.selection
    if model is not None:
        entry = catalog.named(selection, model, version, engines)
        if isinstance(options, LanguagePair):
            _check_languages(entry, options)
        for index, item in enumerate(inputs):
            _check_kind(entry, source.kinds_of(item), index)
        return [entry] * len(inputs)
    if isinstance(options, LanguagePair):
        return [catalog.default(selection, engines, source=options.source, target=options.target)] * len(inputs)
    return [
        catalog.default(selection, engines, kinds=source.kinds_of(item), source=source.language_of(item))
        for item in inputs
    ]


def _check_kind(entry: Entry, kinds: Sequence[SourceName], index: int) -> None:
    manifest = entry.manifest
    if manifest.source not in kinds:
        raise InputError(
            f"inputs[{index}] is {' or '.join(_INPUTS[kind] for kind in kinds)}, but {manifest.name} reads "
            f"{manifest.source}: send that, or name another model",
            input=index,
        )


def _check_languages(entry: Entry, options: LanguagePair) -> None:
    manifest = entry.manifest
    pair = manifest.source_language, manifest.target_language
    if options.source not in (None, pair[0]) or options.target not in (None, pair[1]):
        raise UnknownLanguage(f"{manifest.name} translates from {pair[0]} to {pair[1]}; leave out source and target")


async def answer_all(task: Task, client: EngineClient, jobs: Sequence[Job], terms: Terms) -> list[Output]:
    """The output of each job, in order."""
    return await task.answer.answer_all(client, jobs, terms)


def stream_all(
    task: Task, client: EngineClient, jobs: Sequence[Job], terms: Terms
) -> AsyncGenerator[tuple[int, Any], None]:
    """Deltas of all jobs as they come, each with the index of its job. The last item of a job is its Output."""
    return interleaved([task.answer.stream(client, job, terms) for job in jobs])
