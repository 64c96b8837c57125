"""The lifespan of a front end: engines, the connection to them, the rollout, and background work."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from fastapi import FastAPI

from app.api.access.guard import Guard, watch_access
from app.api.admission import Admission
from app.api.draining import on_stop_signal
from app.api.head_check import HeadCheck
from app.api.pieces.open_streams import OpenStreams
from app.api.refusal_report import RefusalReport
from app.api.service import RequestLimits, Service
from app.api.sessions.kept import SessionStore
from app.api.sessions.own import OwnSessions
from app.api.sessions.turn import Sessions
from app.desired_state import DesiredStateFile, SharedDesiredState, create_desired_state
from app.engine.client import EngineClient, EngineView
from app.engine.forking import template_for
from app.engine_metrics import ServiceFigures
from app.engines import bring_up_to_date, desired_state_of, open_store, start_engines
from app.heap import give_back_memory, keep_large_blocks_apart, share_heap
from app.metrics import Metrics
from app.rollout import Rollout, watch
from app.settings import Settings
from app.store.hashes import FOLDER, Hashes
from app.store.stores import Store
from app.tasks.answers.limits import AnswerLimits
from app.tasks.catalog import Catalog
from app.tasks.sources.image_decoders import ImageDecoders
from app.tasks.sources.limits import SourceLimits
from app.tasks.sources.source_kind import Reader
from app.tasks.states.keys import StateKeys
from app.tasks.task import Task
from app.temporary_folder import check_temporary_folder, service_folder

if TYPE_CHECKING:
    from app.tracing import Tracing

_IMAGE_DECODERS = 2  # processes that decode image files
_TIDY_SECONDS = 30.0
_GREETING_SECONDS = 0.2  # to wait for running engines before the first request is accepted
_CLUSTER_GREETING_SECONDS = 60.0  # the same for engines of other machines, which may just be replaced

log = logging.getLogger("unroll")


class Cluster(Protocol):
    """What a front end has on several machines instead of a service folder and of engines on its own: see
    `app.cluster`. `engine_key` is the public CURVE key of the engines."""

    engine_key: bytes

    async def join(self) -> tuple[Store, SharedDesiredState]:
        """The store, up to date, and the desired state that all front ends share."""
        ...

    def engines_of(self, client: EngineClient) -> AbstractAsyncContextManager[None]:
        """Inside this context the client uses the engines of the cluster."""
        ...


@dataclass(frozen=True)
class Parts:
    """The parts of a front end before it runs.

    `engines` are the ZeroMQ endpoints of running engines; None starts engines. `service_folder` is the folder of
    the desired state, which several front ends share. The first front end logs when engines are ready, and watches the
    store. In a `cluster` engines and the desired state are those of the cluster.
    """

    settings: Settings
    tasks: Sequence[Task]
    metrics: Metrics
    admission: Admission
    check: HeadCheck
    refusals: RefusalReport
    guard: Guard
    sessions: SessionStore | None
    tracing: "Tracing | None"
    engines: Sequence[str] | None
    service_folder: Path | None
    is_first: bool
    cluster: Cluster | None = None


@asynccontextmanager
async def run(app: FastAPI, parts: Parts) -> AsyncIterator[None]:
    """Run the service until the block ends, then stop everything that was started here."""
    settings, metrics = parts.settings, parts.metrics
    share_heap()
    keep_large_blocks_apart()
    async with AsyncExitStack() as stack:
        if parts.tracing is not None:
            stack.push_async_callback(asyncio.to_thread, parts.tracing.close)
        backing = await (_on_this_machine(stack, parts) if parts.cluster is None else _on_several(stack, parts.cluster))
        store, desired, folder = backing.store, backing.desired, backing.folder
        decoders = ImageDecoders(
            _IMAGE_DECODERS,
            seconds=settings.image_seconds,
            pixels=settings.max_image_pixels,
            made=settings.max_request_pixels,
        )
        stack.push_async_callback(decoders.close)
        on_ready = _log_ready if parts.is_first else None
        client = EngineClient(backing.endpoints, on_ready=on_ready, key=backing.engine_key)
        await stack.enter_async_context(client)
        if parts.cluster is not None:
            await stack.enter_async_context(parts.cluster.engines_of(client))
        catalog = Catalog({task.name: task.check for task in parts.tasks}, Hashes(folder / FOLDER).of)
        rollout = Rollout(catalog, client, store, desired)
        await rollout.begin()
        if any(entry.manifest.image is not None for entry in catalog.entries.values()):
            decoders.start()
        if parts.sessions is not None:
            stack.push_async_callback(parts.sessions.close)
        app.state.service = _service(parts, catalog, client, rollout, decoders, parts.sessions)
        parts.check.any_engine_started = lambda: client.view.any_started
        metrics.watch(lambda: _figures(client.view, catalog))
        await client.wait_ready(backing.greeting_seconds)
        _freeze_garbage()
        async with _background(_watches(parts, rollout)):
            with on_stop_signal(parts.admission.drain):
                yield


@dataclass(frozen=True)
class _Backing:
    """What a front end stands on: the store, the desired state, a folder for hashes that processes share, and the
    endpoints of engines, with their key, whose first statuses are awaited for `greeting_seconds`."""

    store: Store
    desired: SharedDesiredState
    folder: Path
    endpoints: Sequence[str]
    greeting_seconds: float
    engine_key: bytes | None = None


async def _on_this_machine(stack: AsyncExitStack, parts: Parts) -> _Backing:
    """Running engines, or new ones that end with `stack`."""
    settings = parts.settings
    store = open_store(settings)
    if parts.service_folder is None:
        check_temporary_folder()
        await asyncio.to_thread(bring_up_to_date, store)
    endpoints, folder = parts.engines, parts.service_folder
    if endpoints is None:
        template = template_for(settings.devices, settings.threads)
        if template is not None:
            stack.callback(template.close)
        processes = start_engines(settings, store, template)
        stack.callback(processes.stop)
        endpoints, folder = processes.endpoints, processes.folder
    if folder is None:  # running engines that serve only this front end
        folder = stack.enter_context(service_folder())
        create_desired_state(folder, desired_state_of(store))
    desired = stack.enter_context(closing(DesiredStateFile(folder)))
    return _Backing(store, desired, folder, endpoints, 0.0 if parts.engines is None else _GREETING_SECONDS)


async def _on_several(stack: AsyncExitStack, cluster: Cluster) -> _Backing:
    check_temporary_folder()
    folder = stack.enter_context(service_folder())
    store, desired = await cluster.join()
    return _Backing(store, desired, folder, (), _CLUSTER_GREETING_SECONDS, cluster.engine_key)


def _watches(parts: Parts, rollout: Rollout) -> list[Coroutine[Any, Any, None]]:
    watches = [rollout.follow(), parts.metrics.share_pending(), parts.refusals.watch(), _tidy_memory()]
    if not parts.guard.is_idle:
        watches.append(watch_access(parts.guard))
    if isinstance(parts.sessions, OwnSessions):
        watches.append(_drop_old(parts.sessions))
    if parts.settings.watch_seconds and parts.is_first:
        watches.append(watch(rollout, parts.settings.watch_seconds))
    return watches


@asynccontextmanager
async def _background(work: Sequence[Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    running = [asyncio.create_task(item) for item in work]
    try:
        yield
    finally:
        for task in running:
            task.cancel()


def _service(
    parts: Parts,
    catalog: Catalog,
    client: EngineClient,
    rollout: Rollout,
    decoders: ImageDecoders,
    sessions: SessionStore | None,
) -> Service:
    settings = parts.settings
    state_keys = _state_keys(settings)
    limits = SourceLimits(
        text_chars=settings.max_text_chars,
        image_bytes=settings.max_image_bytes,
        image_pixels=settings.max_image_pixels,
        series_steps=settings.max_series_steps,
        windows=settings.max_windows,
        window_numbers=settings.max_window_numbers,
        whole_steps=settings.max_whole_steps,
        frames=settings.max_frames,
        request_pixels=settings.max_request_pixels,
    )
    return Service(
        tasks=parts.tasks,
        catalog=catalog,
        client=client,
        reader=Reader(limits, decoders, state_keys),
        answer_limits=AnswerLimits(settings.max_horizon, settings.max_answer_numbers),
        metrics=parts.metrics,
        admission=parts.admission,
        rollout=rollout,
        keys=parts.guard.keys,
        streams=OpenStreams(settings.share(settings.max_streams), settings.max_piece_bytes),
        limits=RequestLimits(
            settings.max_inputs,
            settings.max_pending_steps,
            settings.request_seconds,
            settings.keep_alive_seconds,
            settings.max_version_bytes,
        ),
        sessions=Sessions(sessions, state_keys),
    )


def _state_keys(settings: Settings) -> StateKeys:
    """The keys that sign states. Without a secret those of one worker are drawn; several would not share them."""
    most = settings.max_state_bytes
    if settings.state_secret is None:
        return StateKeys.drawn(most=most) if settings.workers == 1 else StateKeys([], most=most)
    secrets = settings.state_secret.get_secret_value().split(",")
    return StateKeys([secret.strip() for secret in secrets if secret.strip()], most=most)


def _log_ready(view: EngineView) -> None:
    models = (f"{key} ({view.precisions[key]})" if key in view.precisions else key for key in sorted(view.models))
    log.info("%d engines are ready with %s", view.count, ", ".join(models) or "no model")
    for key, reason in view.broken.items():
        log.warning("%s cannot be used: %s", key, reason)


def _figures(view: EngineView, catalog: Catalog) -> ServiceFigures:
    engines = dict(zip(view.places, view.ready, strict=True))
    return ServiceFigures(engines, view.count, view.precisions, len(catalog.broken(view)))


async def _drop_old(sessions: OwnSessions) -> None:
    """Drop sessions of keys that send nothing any more, until cancelled."""
    while True:
        await asyncio.sleep(_TIDY_SECONDS)
        sessions.drop_old()


async def _tidy_memory() -> None:
    """Return memory that is free to the system, until cancelled. Cycles that have become old are not collected for
    minutes otherwise."""
    while True:
        await asyncio.sleep(_TIDY_SECONDS)
        gc.collect()  # a few milliseconds: what was there at the start is frozen
        give_back_memory()


def _freeze_garbage() -> None:
    """Exempt loaded objects from garbage collection, since they stay alive. Requests create almost no cycles."""
    if gc.isenabled():  # not since the start of the process: imports leave hardly any garbage
        gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(20_000, 50, 50)
