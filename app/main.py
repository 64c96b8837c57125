"""The FastAPI app: `uvicorn app.main:app`, or `create_app(settings)`."""

import logging
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware import Middleware

from app.api import caption, health, models, pages, sentiment, translate
from app.api.body_limit import BodyLimit
from app.api.observe import Observe
from app.api.problems import Problem, install_problems
from app.api.service import Limits, Service
from app.engine.client import EngineClient
from app.engine.config import EngineConfig
from app.engine.process import EngineProcesses
from app.metrics import EngineFigures, Metrics
from app.settings import Settings
from app.store.model_store import read_store
from app.tasks.captioning import Captioning
from app.tasks.catalog import Catalog
from app.tasks.images import ImageLimits
from app.tasks.sentiment import Sentiment
from app.tasks.texts import TextLimits
from app.tasks.translation import Translation

VERSION = "0.1.0"
DESCRIPTION = """Serves trained recurrent networks: sequence to label (sentiment), image to sequence (captioning) and
sequence to sequence (translation). Every example below runs as it stands: open one and press **Execute**.

Errors are `application/problem+json` (RFC 9457) everywhere."""
_IMAGE_THREADS = 2  # files decoded at the same time


def create_app(settings: Settings | None = None, *, engines: Sequence[str] | None = None) -> FastAPI:
    """An app with `settings`. Given `engines`, ZeroMQ endpoints, it uses those; else it starts its own."""
    settings = settings or Settings()
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        processes = None if engines is not None else _start_engines(settings)
        try:
            endpoints = engines if processes is None else processes.endpoints
            with ThreadPoolExecutor(_IMAGE_THREADS, "images") as pool:
                async with EngineClient(endpoints or ()) as client:
                    app.state.service = _service(settings, client, metrics, pool)
                    app.state.engines = processes
                    metrics.watch(lambda: _figures(client, processes))
                    yield
        finally:
            if processes is not None:
                processes.stop()

    app = FastAPI(
        title="Unroll",
        version=VERSION,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        middleware=[Middleware(Observe, metrics=metrics), Middleware(BodyLimit, most=settings.max_body_bytes)],
        responses={"default": {"model": Problem, "description": "A problem"}},
    )
    install_problems(app)
    for module in (sentiment, caption, translate, models, health, pages):
        app.include_router(module.router)
    app.mount("/assets/swagger", pages.static_swagger)
    app.mount("/assets/web", pages.static_web)
    return app


def _start_engines(settings: Settings) -> EngineProcesses:
    config = EngineConfig(
        endpoint="",
        store=str(settings.store.resolve()),
        device=settings.device,
        threads=settings.threads,
        unit=settings.unit,
        slots=settings.slots,
        budget=settings.budget,
    )
    return EngineProcesses(config, settings.engine_count)


def _service(settings: Settings, client: EngineClient, metrics: Metrics, pool: ThreadPoolExecutor) -> Service:
    catalog = Catalog(read_store(settings.store))
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
        ),
        limits=Limits(settings.max_inputs, settings.max_pending, settings.request_seconds),
    )


def _figures(client: EngineClient, processes: EngineProcesses | None) -> EngineFigures:
    view = client.view
    counters: Counter[str] = Counter()
    gauges: Counter[str] = Counter()
    for status in view.ready:
        counters.update(status.counters)
        gauges.update(status.gauges)
    restarts = processes.restarts if processes else 0
    return EngineFigures(counters, gauges, ready=len(view.ready), count=view.count, restarts=restarts)  # type: ignore[arg-type]


def __getattr__(name: str) -> FastAPI:
    """`app`, made when a server first asks for it and not when `create_app` is imported."""
    if name == "app":
        logging.getLogger("unroll").setLevel(logging.INFO)
        return create_app()
    raise AttributeError(name)
