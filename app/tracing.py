"""Spans by OpenTelemetry: the only file that needs the extra `otel`, imported where its environment names a receiver.

They are made when a request has ended, from what was noted of it, so that a request that runs knows nothing of them.
What the engines did comes with their answers, on a clock that all processes of the machine share, and becomes spans of
the same trace.
"""

import os
import time

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from app.request_context import Execution, ParentSpan, RequestContext

_SERVER_ERROR = 500


def open_tracing(version: str) -> "Tracing":
    """Sends spans by OTLP over HTTP, as the environment says."""
    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": "unroll"}
    provider = TracerProvider(resource=Resource.create({**named, "service.version": version}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider, version)


class Tracing:
    """Makes the spans of requests to the tasks. A thread of the provider sends them."""

    def __init__(self, provider: TracerProvider, version: str) -> None:
        self._provider = provider
        self._front_end = provider.get_tracer("unroll.front_end", version)
        self._engine = provider.get_tracer("unroll.engine", version)

    def tell(self, context: RequestContext, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered: a span of the server, within that of the caller if there is one, and within it one
        for each input that an engine had."""
        ahead = time.time() - time.monotonic()  # the clock of spans, before that of the context
        span = self._front_end.start_span(
            f"{method} {route}",
            Context() if context.parent is None else _within(context.parent),
            SpanKind.SERVER,
            _attributes(context, method, route, status),
            start_time=_nanoseconds(context.started + ahead),
        )
        if status >= _SERVER_ERROR:
            span.set_status(Status(StatusCode.ERROR))
        for execution in context.executions:
            self._tell_execution(span, execution, ahead)
        span.end(_nanoseconds(context.started + seconds + ahead))
        context.trace_id = f"{span.get_span_context().trace_id:032x}"

    def _tell_execution(self, span: Span, execution: Execution, ahead: float) -> None:
        times = execution.times
        whole = self._engine.start_span(
            "engine",
            set_span_in_context(span, Context()),
            attributes={"unroll.model": execution.model, "unroll.engine.instance": execution.engine},
            start_time=_nanoseconds(times.arrived + ahead),
        )
        if times.first_token:
            whole.add_event("first token", timestamp=_nanoseconds(times.first_token + ahead))
        parts = {"queue": times.started, "consume": times.encoded, "emit": times.ended if times.first_token else 0.0}
        begin = times.arrived
        for name, end in parts.items():
            if end:
                within = set_span_in_context(whole, Context())
                part = self._engine.start_span(name, within, start_time=_nanoseconds(begin + ahead))
                part.end(_nanoseconds(end + ahead))
                begin = end
        whole.end(_nanoseconds(times.ended + ahead))

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()


def _within(span: ParentSpan) -> Context:
    flags = TraceFlags(int(span.flags, 16))
    parent = SpanContext(int(span.trace_id, 16), int(span.span_id, 16), is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(parent), Context())


def _attributes(context: RequestContext, method: str, route: str, status: int) -> dict[str, str | int]:
    found: dict[str, str | int | None] = {
        "http.request.method": method,
        "http.route": route,
        "http.response.status_code": status,
        "http.request.body.size": context.bytes_in,
        "http.response.body.size": context.bytes_out,
        "error.type": context.problem,
        "unroll.request_id": context.id,
        "unroll.task": context.task,
        "unroll.inputs": context.inputs,
        "unroll.source_tokens": context.source_tokens,
        "unroll.emitted_tokens": context.emitted_tokens,
    }
    return {name: value for name, value in found.items() if value is not None}


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
