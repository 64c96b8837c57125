"""The FastAPI app: `uvicorn app.main:app`, or `create_app(settings)`."""

import asyncio
import gc
import logging
import os
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.middleware import Middleware

from app.api import admin, health, models, pages
from app.api.access.guard import Access, CallerLimits, Guard, watch_access
from app.api.access.keys import Keys, administrator, read_entries
from app.api.access.rates import Rates
from app.api.compat.hugging_face import generation as hugging_face_generation
from app.api.compat.hugging_face import tasks as hugging_face
from app.api.compat.open_inference import generate as open_inference_generate
from app.api.compat.open_inference import infer as open_inference
from app.api.compat.open_inference import models as open_inference_models
from app.api.compat.open_inference import repository as open_inference_repository
from app.api.compat.openai import completions as openai
from app.api.draining import on_stop_signal
from app.api.middleware.admission import Admission, Gate, watch_lag
from app.api.middleware.body_limit import BodyLimit
from app.api.middleware.client_errors import ClientErrors
from app.api.middleware.cross_origin import cross_origin
from app.api.middleware.fast_path import Endpoints
from app.api.middleware.observe import Observe
from app.api.middleware.request_log import RequestLog
from app.api.middleware.security_headers import SecurityHeaders
from app.api.openapi.access import describe_access
from app.api.openapi.document import TAGS, install_document, operation_id
from app.api.problems import install_problems, problems_anywhere
from app.api.service import Limits, Service
from app.api.tasks import caption, complete, sentiment, translate
from app.desired_state import Board, Wanted, begin
from app.engine.client import EngineClient, EngineView
from app.engine.config import EngineConfig
from app.engine.process import EngineProcesses, engine_devices
from app.engine_metrics import ServiceFigures
from app.errors import InvalidAccess, StoreUnreachable
from app.logs import request_logger, set_up_logging
from app.machine import available_cores, available_memory
from app.metrics import Metrics
from app.rollout import Rollout, watch
from app.settings import Settings
from app.store.model_store import Contents, version_folders
from app.store.remote import RemoteStore, is_url
from app.store.stores import FolderStore, Store, read_defaults
from app.tasks.captioning import Captioning
from app.tasks.catalog import Catalog
from app.tasks.completion import Completion
from app.tasks.sentiment import Sentiment
from app.tasks.sources.image_files import ImageLimits
from app.tasks.sources.text import TextLimits
from app.tasks.translation import Translation

if TYPE_CHECKING:
    from app.tracing import Tracing

VERSION = "0.1.0"
DESCRIPTION = """Serves trained recurrent networks: sequence to label (sentiment), image to sequence (captioning),
sequence to sequence (translation) and sequence to next token (completion). Every example below runs as it stands: open
one and press **Execute**.

Errors are `application/problem+json` (RFC 9457) everywhere."""
_TASKS = (sentiment, caption, translate, complete)
_ENDPOINTS = {
    "/v1/sentiment": sentiment.sentiment,
    "/v1/caption": caption.caption,
    "/v1/translate": translate.translate,
    "/v1/complete": complete.complete,
    "/v1/completions": openai.completions,
    hugging_face.CLASSIFICATION: hugging_face.classify,
    hugging_face.TRANSLATION: hugging_face.translate,
    hugging_face.IMAGE_TO_TEXT: hugging_face.describe,
    hugging_face_generation.TEXT_GENERATION: hugging_face_generation.generate,
    **dict.fromkeys(open_inference.PATHS, open_inference.infer),
    **dict.fromkeys(open_inference_generate.PATHS, open_inference_generate.generate),
    **dict.fromkeys(open_inference_generate.STREAM_PATHS, open_inference_generate.generate_stream),
}
_OF_IMAGES = ("/v1/caption", hugging_face.IMAGE_TO_TEXT)
_CLIENT_ERRORS = {
    **dict.fromkeys(["/v1/completions", "/v1/models", "/v1/models/{name}"], openai.error_members),
    **dict.fromkeys([path for path in _ENDPOINTS if path.startswith("/hf/")], hugging_face.error_members),
    **dict.fromkeys(["/v2", "/v2/**"], open_inference.error_members),
}
_HOLDS = (
    dict.fromkeys(_ENDPOINTS, "texts")
    | dict.fromkeys(_OF_IMAGES, "images")
    | dict.fromkeys(open_inference.PATHS, "tensors")
)  # what bodies hold
_SPANS_GO_TO = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_IMAGE_THREADS = 2  # files decoded at the same time
_MOST_ENGINES = 4
_ENGINE_BYTES = 200 * 2**20  # of one without a model
_FRONT_END_BYTES = 256 * 2**20
_GREETING_SECONDS = 0.2  # in which engines that are there already may answer before the first request is let in

log = logging.getLogger("unroll")


def create_app(
    settings: Settings | None = None,
    *,
    engines: Sequence[str] | None = None,
    board: Path | None = None,
    is_first: bool = True,
    metrics: Metrics | None = None,
) -> FastAPI:
    """An app with `settings`. Given `engines`, ZeroMQ endpoints, it uses those; else it starts its own. Of several that
    share engines and the folder of their `board`, the first tells the log when they are ready, and watches the
    store."""
    settings = settings or Settings()
    metrics = metrics or Metrics()
    lines = request_logger(settings.log_level, settings.log_format) if settings.log_requests else None
    requests = RequestLog(lines, tells_probes=settings.log_level == "debug") if lines else None
    tracing = _tracing()
    admission = Admission(
        most_inputs=settings.share(settings.max_pending), most_steps=settings.share(settings.max_pending_steps)
    )
    metrics.watch_pending(admission.figures)
    guard = open_guard(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        source = open_store(settings)
        if board is None:
            await asyncio.to_thread(bring_up_to_date, source)
        processes = None if engines is not None else start_engines(settings, source)
        try:
            endpoints = engines if processes is None else processes.endpoints
            with ThreadPoolExecutor(_IMAGE_THREADS, "images") as pool, ExitStack() as stack:
                shared = board if processes is None else processes.folder
                if shared is None:  # engines of somebody else, and this front end alone
                    shared = Path(stack.enter_context(TemporaryDirectory(prefix="unroll-")))
                    begin(shared, wanted_of(source))
                mine = stack.enter_context(closing(Board(shared)))
                async with EngineClient(endpoints or (), on_ready=_announce if is_first else None) as client:
                    catalog = Catalog(Contents((), ()))
                    rollout = Rollout(catalog, client, source, mine)
                    await rollout.begin()
                    app.state.service = _service(
                        settings, catalog, client, rollout, metrics, admission, guard.keys, pool
                    )
                    metrics.watch(lambda: _figures(client.view, catalog))
                    if processes is None:
                        await client.greeted(_GREETING_SECONDS)
                    _spare_the_collector()
                    beside = [asyncio.create_task(watch_lag(admission)), asyncio.create_task(rollout.follow())]
                    beside.append(asyncio.create_task(metrics.share_pending()))
                    if not guard.is_idle:
                        beside.append(asyncio.create_task(watch_access(guard)))
                    if settings.watch_seconds and is_first:
                        beside.append(asyncio.create_task(watch(rollout, settings.watch_seconds)))
                    try:
                        with on_stop_signal(admission.drain):
                            yield
                    finally:
                        for task in beside:
                            task.cancel()
        finally:
            if processes is not None:
                processes.stop()
            if tracing is not None:
                await asyncio.to_thread(tracing.close)

    app = FastAPI(
        title="Unroll",
        version=VERSION,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a redirect would tell the address as it is behind a proxy
        middleware=[
            Middleware(Observe, metrics=metrics, log=requests, tracing=tracing),
            Middleware(SecurityHeaders, hsts_seconds=settings.hsts_seconds),
            Middleware(ClientErrors, paths=_CLIENT_ERRORS),
            *cross_origin(settings.cors_origins),
            *([] if guard.is_idle else [Middleware(Access, guard=guard, tasks=_HOLDS, metrics=metrics)]),
            Middleware(Gate, admission=admission, paths=_HOLDS),
            Middleware(BodyLimit, most=settings.max_body_bytes),
            Middleware(Endpoints, endpoints=_ENDPOINTS, admission=admission),
        ],
        responses=problems_anywhere(),
        openapi_tags=list(TAGS),
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        generate_unique_id_function=operation_id,
    )
    install_problems(app)
    compatible = (openai, hugging_face, hugging_face_generation)
    protocol = (open_inference_models, open_inference, open_inference_generate, open_inference_repository)
    describe_access(app, tasks=_ENDPOINTS)
    install_document(app, _CLIENT_ERRORS)
    for module in (*_TASKS, models, admin, *compatible, *protocol, health, pages):
        app.include_router(module.router)
    app.mount("/assets/swagger", pages.static_swagger)
    app.mount("/assets/web", pages.static_web)
    return app


def open_guard(settings: Settings) -> Guard:
    """Keys and limits as `settings` ask for them. Raises InvalidAccess."""
    fixed = []
    if settings.api_keys is not None:
        fixed += read_entries(settings.api_keys.get_secret_value(), source="UNROLL_API_KEYS")
    try:
        admin_key = settings.read_admin_key()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InvalidAccess(f"{settings.admin_key_file}: {reason}") from None
    if admin_key:
        fixed.append(administrator(admin_key))
    redis = settings.rate_limit_storage
    return Guard(
        Keys(fixed, file=settings.api_keys_file, required=settings.needs_keys),
        Rates(None if redis is None else redis.get_secret_value(), workers=settings.workers),
        CallerLimits(settings.rate_limit, settings.concurrent_inputs, settings.limit_addresses),
        workers=settings.workers,
    )


def open_store(settings: Settings) -> Store:
    """The model store of `settings`; one at a URL is brought up to date by `update`. Raises StoreUnreachable."""
    if is_url(settings.store):
        return RemoteStore(settings.store, Path(settings.store_cache))
    return FolderStore(Path(settings.store))


def bring_up_to_date(source: Store) -> None:
    """What a service does before it starts: where the store cannot be reached, it serves what was copied before,
    which is checked as it is loaded. Raises StoreUnreachable if there is nothing."""
    try:
        source.update()
    except StoreUnreachable as error:
        kept = sorted(version_folders(source.root))
        if not kept:
            raise
        log.warning("%s. Serving what was copied into %s before: %s", error.detail, source.root, ", ".join(kept))


def wanted_of(source: Store) -> Wanted:
    """Everything in a store."""
    folders = version_folders(source.root)
    return Wanted({key: str(folder) for key, folder in folders.items()}, read_defaults(source.root))


def start_engines(settings: Settings, source: Store) -> EngineProcesses:
    """The engines that `settings` ask for, over all that a store has."""
    config = EngineConfig(
        endpoint="",
        store=str(source.root),
        threads=settings.threads,
        unit=settings.unit,
        slots=settings.slots,
        budget=settings.budget,
        precision=settings.precision,
        log_level=settings.log_level,
        log_format=settings.log_format,
    )
    wanted, memory = settings.engines or min(available_cores(), _MOST_ENGINES), available_memory()
    room = engines_that_fit(memory, source, settings.workers)
    devices = engine_devices(settings.devices, settings.engines or max(1, min(wanted, room)))
    if room < wanted and "cpu" in devices:
        log.warning("%d MB of memory have room for %d engines, not for %d", memory // 10**6, room, wanted)
    log.info("starting %d engines on %s, threads of each: %d", len(devices), ", ".join(devices), settings.threads)
    return EngineProcesses(config, devices, heartbeat_seconds=settings.heartbeat_seconds, wanted=wanted_of(source))


def engines_that_fit(memory: int, source: Store, front_ends: int) -> int:
    """Engines on the CPU that `memory` (bytes) has room for beside so many front ends.

    What an engine needs was measured (docs/deploy.md): torch, each model as it is stored and as it is run, and batches.
    """
    stored = sum(file.stat().st_size for file in source.root.glob("*/*/*.safetensors"))
    return max(0, (memory - front_ends * _FRONT_END_BYTES) // (_ENGINE_BYTES + 3 * stored))


def _announce(view: EngineView) -> None:
    models = (f"{key} ({view.precisions[key]})" if key in view.precisions else key for key in sorted(view.models))
    log.info("%d engines are ready with %s", view.count, ", ".join(models) or "no model")
    for key, reason in view.broken.items():
        log.warning("%s cannot be used: %s", key, reason)


def _service(
    settings: Settings,
    catalog: Catalog,
    client: EngineClient,
    rollout: Rollout,
    metrics: Metrics,
    admission: Admission,
    keys: Keys,
    pool: ThreadPoolExecutor,
) -> Service:
    texts = TextLimits(settings.max_text_chars)
    images = ImageLimits(settings.max_image_bytes, settings.max_image_pixels)
    return Service(
        catalog=catalog,
        client=client,
        metrics=metrics,
        tasks=(
            Sentiment(catalog, client, texts),
            Captioning(catalog, client, images, pool),
            Translation(catalog, client, texts),
            Completion(catalog, client, texts),
        ),
        admission=admission,
        rollout=rollout,
        keys=keys,
        limits=Limits(settings.max_inputs, settings.request_seconds, settings.keep_alive_seconds),
    )


def _spare_the_collector() -> None:
    """What is loaded now stays: the garbage collector need not look at it again. Requests leave next to no cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 50)


def _figures(view: EngineView, catalog: Catalog) -> ServiceFigures:
    engines = dict(zip(view.places, view.ready, strict=True))
    return ServiceFigures(engines, view.count, view.precisions, len(catalog.broken(view)))


def _tracing() -> "Tracing | None":
    """Spans, if the environment says where they go (docs/observability.md)."""
    if not any(os.environ.get(name) for name in _SPANS_GO_TO):
        return None
    try:
        from app.tracing import open_tracing
    except ImportError:
        log.warning("%s is set, but no spans are sent: install unroll-serve[otel]", _SPANS_GO_TO[0])
        return None
    return open_tracing(VERSION)


def __getattr__(name: str) -> FastAPI:
    """`app`, made when a server first asks for it and not when `create_app` is imported."""
    if name == "app":
        settings = Settings()
        set_up_logging(settings.log_level, settings.log_format)
        if not settings.needs_keys:
            log.info("the tasks need no key: whoever reaches the port is answered (docs/access.md)")
        return create_app(settings)
    raise AttributeError(name)
