"""The request log: one line per request with its route, status, sizes and times, never its content."""

from app.api.refusal_report import RefusalReport
from app.logs import Logger
from app.request_context import RequestContext

_PROBES = ("/healthz", "/readyz", "/metrics")  # which monitoring calls all the time
_DIGITS = 6  # of seconds
_LOGGED_TOGETHER = ("overloaded", "not-ready", "wrong-key", "host-not-allowed", "cross-site")  # problems of refusals


class RequestLog:
    """Writes a line `request`; for probes only if `logs_probes`. It logs the path of the route, so that no text of a
    caller's path or query gets into the log. `refusals` logs those that cost no work, together."""

    def __init__(self, lines: Logger, refusals: RefusalReport, *, logs_probes: bool) -> None:
        self._lines = lines
        self._refusals = refusals
        self._logs_probes = logs_probes

    def tell(self, context: RequestContext, method: str, route: str, status: int, seconds: float) -> None:
        """Log a request that ended."""
        if route in _PROBES and not self._logs_probes:
            return
        if context.problem in _LOGGED_TOGETHER:
            self._refusals.log(route, status, context.problem)
            return
        line: dict[str, object] = {
            "request_id": context.id,
            "method": method,
            "route": route,
            "status": status,
            "seconds": round(seconds, _DIGITS),
            "bytes_in": context.bytes_in,
            "bytes_out": context.bytes_out,
        }
        if context.inputs is not None:
            line["inputs"] = context.inputs
        if context.models:
            line["models"] = list(context.models)
        if context.task is not None:
            line["task"] = context.task
            line["source_tokens"], line["emitted_tokens"] = context.source_tokens, context.emitted_tokens
        for name, value in context.engine_seconds.items():
            line[f"{name}_seconds"] = round(value, _DIGITS)
        if context.trace_id is not None:
            line["trace_id"] = context.trace_id
        if context.parent is not None:
            line["parent_span_id"] = context.parent.span_id
        if context.problem is not None:
            line["problem"] = context.problem
        write = self._lines.warning if status >= 500 else self._lines.info
        write("request", **line)
