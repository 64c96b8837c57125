"""The FastAPI app: `uvicorn app.main:app`, or `create_app(settings)`."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.middleware import Middleware

from app import lifespan
from app.api import admin, health, models, pages
from app.api.access.guard import CallerLimits, Guard
from app.api.access.keys import Keys, administrator, read_entries, unreadable
from app.api.access.rates import Rates
from app.api.admission import Admission
from app.api.compat import hugging_face, open_inference, openai
from app.api.head_check import HeadCheck
from app.api.middleware.access import Access
from app.api.middleware.body_limit import BodyLimit
from app.api.middleware.client_errors import ClientErrors
from app.api.middleware.content_encoding import ContentEncoding
from app.api.middleware.cross_origin import cross_origin
from app.api.middleware.fast_path import FastPath
from app.api.middleware.gate import Gate
from app.api.middleware.head import Head
from app.api.middleware.local_only import LocalOnly, names_in
from app.api.middleware.observe import Observe
from app.api.middleware.request_log import RequestLog
from app.api.middleware.root_path import RootPath
from app.api.middleware.security_headers import SecurityHeaders
from app.api.middleware.web_socket import WebSocket
from app.api.openapi.document import TAGS, install_document, operation_id
from app.api.problems import install_problems, problems_anywhere
from app.api.refusal_report import RefusalReport
from app.api.routes import Routes
from app.api.sessions import routes as sessions
from app.api.sessions.kept import SessionLimits, SessionStore
from app.api.sessions.own import OwnSessions
from app.api.sessions.shared import SharedSessions
from app.api.tasks.native import native_routes
from app.api.window import Window
from app.errors import InvalidAccess
from app.logs import Logger, request_logger, set_up_logging
from app.metrics import Metrics
from app.settings import Settings, is_local
from app.tasks.registry import TASKS
from app.tasks.task import Task
from app.version import VERSION

if TYPE_CHECKING:
    from app.tracing import Tracing

DESCRIPTION = """Serves trained recurrent networks. Each task reads one kind of source, such as text or images, and
returns one kind of answer, such as a label or text. Every example below runs unchanged: open one and press **Execute**.
A stream of pieces needs a model that carries a state (`carries_state` in `GET /v1/models`); other models refuse it.

Errors are `application/problem+json` (RFC 9457) everywhere."""
_COMPATIBLE = (openai, hugging_face, open_inference)
_LEAST_WINDOW = 128  # requests in flight that no queue time forbids: they keep the engines busy
_TRACE_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

log = logging.getLogger("unroll")


def create_app(
    settings: Settings | None = None,
    *,
    tasks: Sequence[Task] = TASKS,
    engines: Sequence[str] | None = None,
    service_folder: Path | None = None,
    is_first: bool = True,
    metrics: Metrics | None = None,
    cluster: lifespan.Cluster | None = None,
) -> FastAPI:
    """An app that serves `tasks`. The other arguments are those of `lifespan.Parts`."""
    settings, metrics = settings or Settings(), metrics or Metrics()
    guard, tracing = open_guard(settings), _tracing()
    admission = _admission(settings)
    metrics.watch_pending(admission.figures)
    native, tasks_router = native_routes(tasks)
    routes = Routes([*native, *(route for interface in _COMPATIBLE for route in interface.ROUTES)])
    check = HeadCheck(routes, guard, admission, metrics)
    lines = request_logger(settings.log_level, settings.log_format) if settings.log_requests else None
    refusals = RefusalReport(metrics, lines)
    parts = lifespan.Parts(
        settings,
        tasks,
        metrics,
        admission,
        check,
        refusals,
        guard,
        open_sessions(settings),
        tracing,
        engines,
        service_folder,
        is_first,
        cluster,
    )
    app = FastAPI(
        title="Unroll",
        version=VERSION,
        description=DESCRIPTION,
        lifespan=lambda app: lifespan.run(app, parts),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a redirect would reveal the address behind a proxy
        middleware=_middleware(parts, routes, lines),
        servers=[{"url": settings.root_path}] if settings.root_path else None,
        responses=problems_anywhere(),
        openapi_tags=list(TAGS),
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        generate_unique_id_function=operation_id,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # FastAPI's own; older ones ignore it
    )
    app.state.settings, app.state.head_check, app.state.refusal_report = settings, check, refusals  # for `FrontEnd`
    install_problems(app)
    install_document(app, routes)
    compatible = (router for interface in _COMPATIBLE for router in interface.ROUTERS)
    for router in (
        tasks_router,
        models.router,
        sessions.router,
        admin.router,
        *compatible,
        health.router,
        pages.router,
    ):
        app.include_router(router)
    app.mount("/assets/swagger", pages.static_swagger)
    app.mount("/assets/web", pages.static_web)
    return app


def _admission(settings: Settings) -> Admission:
    most = settings.share(settings.max_pending)
    window = Window(least=settings.share(_LEAST_WINDOW), most=most, target=settings.queue_seconds)
    return Admission(most_inputs=most, most_steps=settings.share(settings.max_pending_steps), window=window)


def _middleware(parts: lifespan.Parts, routes: Routes, lines: Logger | None) -> list[Middleware]:
    """The middleware, outermost first."""
    settings, metrics = parts.settings, parts.metrics
    debug = settings.log_level == "debug"
    request_log = RequestLog(lines, parts.refusals, logs_probes=debug) if lines else None
    allowed = None if settings.needs_keys or not is_local(settings.host) else names_in(settings.allowed_hosts)
    local_only = [] if allowed is None else [Middleware(LocalOnly, allowed=allowed, origins=settings.cors_origins)]
    return [
        Middleware(WebSocket),
        *([Middleware(RootPath, prefix=settings.root_path)] if settings.root_path else []),
        Middleware(Observe, routes=routes, metrics=metrics, log=request_log, tracing=parts.tracing),
        Middleware(SecurityHeaders, hsts_seconds=settings.hsts_seconds),
        Middleware(ClientErrors),
        *cross_origin(settings.cors_origins),
        *local_only,
        *([] if parts.guard.is_idle else [Middleware(Access, guard=parts.guard, metrics=metrics)]),
        Middleware(Gate, admission=parts.admission, check=parts.check),
        Middleware(BodyLimit, most=settings.max_body_bytes),
        Middleware(ContentEncoding, most=settings.max_body_bytes, metrics=metrics),
        Middleware(FastPath),
        Middleware(Head),
    ]


def open_guard(settings: Settings) -> Guard:
    """The keys and limits of the settings. Raises InvalidAccess."""
    fixed = []
    if settings.api_keys is not None:
        fixed += read_entries(settings.api_keys.get_secret_value(), source="UNROLL_API_KEYS")
    try:
        admin_key = settings.read_admin_key()
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(settings.admin_key_file, error) from None
    if admin_key:
        fixed.append(administrator(admin_key))
    redis = settings.rate_limit_storage
    return Guard(
        Keys(fixed, file=settings.api_keys_file, required=settings.needs_keys),
        Rates(None if redis is None else redis.get_secret_value(), workers=settings.workers),
        CallerLimits(settings.rate_limit, settings.concurrent_inputs, settings.limit_addresses),
        workers=settings.workers,
    )


def open_sessions(settings: Settings) -> SessionStore | None:
    """The store of sessions: Redis, the memory of a single worker, or none. Raises InvalidAccess."""
    limits = SessionLimits(settings.session_seconds, settings.max_sessions, settings.max_session_bytes)
    if settings.session_storage is None:
        return OwnSessions(limits) if settings.workers == 1 else None
    if settings.state_secret is None:
        raise InvalidAccess("session_storage needs state_secret: services that share sessions sign them with it")
    return SharedSessions(settings.session_storage.get_secret_value(), limits)


def _tracing() -> "Tracing | None":
    """Tracing, if the environment sets an OTLP endpoint (docs/observability.md)."""
    if not any(os.environ.get(name) for name in _TRACE_ENDPOINTS):
        return None
    try:
        from app.tracing import open_tracing
    except ImportError:
        log.warning(
            "%s is set, but OpenTelemetry is missing and no spans are sent: install unroll-serve[otel]",
            _TRACE_ENDPOINTS[0],
        )
        return None
    return open_tracing(VERSION)


def __getattr__(name: str) -> FastAPI:
    """Create `app` when a server imports it, not when another module imports `create_app`."""
    if name == "app":
        settings = Settings()
        set_up_logging(settings.log_level, settings.log_format)
        if not settings.needs_keys:
            log.info("no keys are required: every client that reaches the port can use the tasks (docs/access.md)")
        return create_app(settings)
    raise AttributeError(name)
