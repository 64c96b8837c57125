"""The request log: one line per request with its route, status, sizes and times, never its content."""

from app.logs import Lines
from app.request_context import Record

_PROBES = ("/healthz", "/readyz", "/metrics")  # which monitoring calls all the time
_DIGITS = 6  # of seconds


class RequestLog:
    """Writes a line `request`; for probes only if `logs_probes`. It logs the path of the route, so that no text of a
    caller's path or query gets into the log."""

    def __init__(self, lines: Lines, *, logs_probes: bool) -> None:
        self._lines = lines
        self._logs_probes = logs_probes

    def tell(self, record: Record, method: str, route: str, status: int, seconds: float) -> None:
        """Log a request that ended."""
        if route in _PROBES and not self._logs_probes:
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
