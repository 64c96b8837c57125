"""OpenTelemetry spans. The only file that needs the extra `otel`; imported if the environment names a collector.

Spans are made after a request has ended, from its request context, so a running request costs nothing more. Engines
send their times with their answers, on the clock that all processes of a machine share; these times become spans of the
same trace.
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
    """Tracing that exports over OTLP/HTTP, configured by OpenTelemetry's environment variables."""
    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": "unroll"}
    provider = TracerProvider(resource=Resource.create({**named, "service.version": version}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider, version)


class Tracing:
    """Makes the spans of task requests. A thread of the provider exports them."""

    def __init__(self, provider: TracerProvider, version: str) -> None:
        self._provider = provider
        self._front_end = provider.get_tracer("unroll.front_end", version)
        self._engine = provider.get_tracer("unroll.engine", version)

    def trace(self, context: RequestContext, method: str, route: str, status: int, seconds: float) -> None:
        """Make the spans of an answered request: a server span below the caller's span, and below it an engine span
        for each input."""
        offset = time.time() - time.monotonic()  # from the clock of the context to the clock of spans
        span = self._front_end.start_span(
            f"{method} {route}",
            Context() if context.parent is None else _context_of(context.parent),
            SpanKind.SERVER,
            _attributes(context, method, route, status),
            start_time=_nanoseconds(context.started + offset),
        )
        if status >= _SERVER_ERROR:
            span.set_status(Status(StatusCode.ERROR))
        for execution in context.executions:
            self._trace_execution(span, execution, offset)
        span.end(_nanoseconds(context.started + seconds + offset))
        context.trace_id = f"{span.get_span_context().trace_id:032x}"

    def _trace_execution(self, parent: Span, execution: Execution, offset: float) -> None:
        span = self._engine.start_span(
            "engine",
            set_span_in_context(parent, Context()),
            attributes={"unroll.model": execution.model, "unroll.engine.instance": execution.engine},
            start_time=_nanoseconds(execution.arrived + offset),
        )
        if execution.first_token:
            span.add_event("first token", timestamp=_nanoseconds(execution.first_token + offset))
        phases = {
            "queue": execution.started,
            "consume": execution.encoded,
            "emit": execution.ended if execution.first_token else 0.0,
        }
        begin = execution.arrived
        for name, end in phases.items():
            if end:
                context = set_span_in_context(span, Context())
                phase = self._engine.start_span(name, context, start_time=_nanoseconds(begin + offset))
                phase.end(_nanoseconds(end + offset))
                begin = end
        span.end(_nanoseconds(execution.ended + offset))

    def close(self) -> None:
        """Export the remaining spans."""
        self._provider.shutdown()


def _context_of(span: ParentSpan) -> Context:
    flags = TraceFlags(int(span.flags, 16))
    parent = SpanContext(int(span.trace_id, 16), int(span.span_id, 16), is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(parent), Context())


def _attributes(context: RequestContext, method: str, route: str, status: int) -> dict[str, str | int]:
    attributes: dict[str, str | int | None] = {
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
    return {name: value for name, value in attributes.items() if value is not None}


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
