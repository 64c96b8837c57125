"""One log line for each request: what it was, how large and how long, never what was in it."""

from app.logs import Logger
from app.request_context import Record

_PROBES = ("/healthz", "/readyz", "/metrics")  # asked all the time, by machines
_DIGITS = 6  # of seconds


class RequestLog:
    """Writes a line `request`; for probes only if `tells_probes`. Paths are those of routes: what a caller wrote into a
    path or a query is not told."""

    def __init__(self, lines: Logger, *, tells_probes: bool) -> None:
        self._lines = lines
        self._tells_probes = tells_probes

    def tell(self, record: Record, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        if route in _PROBES and not self._tells_probes:
            return
        line: dict[str, object] = {
            "request_id": record.id,
            "method": method,
            "route": route,
            "status": status,
            "seconds": round(seconds, _DIGITS),
            "bytes_in": record.bytes_in,
            "bytes_out": record.bytes_out,
        }
        if record.inputs is not None:
            line["inputs"] = record.inputs
        if record.models:
            line["models"] = list(record.models)
        if record.task is not None:
            line["task"] = record.task
            line["source_tokens"], line["emitted_tokens"] = record.source_tokens, record.emitted_tokens
        for name, value in record.engine_seconds.items():
            line[f"{name}_seconds"] = round(value, _DIGITS)
        if record.trace_id is not None:
            line["trace_id"] = record.trace_id
        if record.caller is not None:
            line["parent_span_id"] = record.caller.span_id
        if record.problem is not None:
            line["problem"] = record.problem
        write = self._lines.warning if status >= 500 else self._lines.info
        write("request", **line)
