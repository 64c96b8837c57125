"""Log lines of every process, as JSON objects or as columns, on standard error (docs/observability.md).

The service, its engines, uvicorn and libraries log through the standard library. Request lines bypass it, because they
are frequent.
"""

import logging
import sys
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

import msgspec
import structlog
from structlog.typing import EventDict, Processor

from app.log_output import LOG_OUTPUT

Format = Literal["auto", "json", "console"]
_REQUESTS = "unroll.requests"  # the logger of request lines
_HEAD = ("timestamp", "level", "logger", "event")
_encode = msgspec.json.Encoder(enc_hook=str).encode
_STAMPS: list[Processor] = [
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


class Logger(Protocol):
    """Writes a log line: the name of an event and its fields."""

    def info(self, event: str, **fields: object) -> None: ...

    def warning(self, event: str, **fields: object) -> None: ...


class _JsonRequestLines:
    """Request lines as JSON. They are as frequent as requests, so they do not pass structlog's processors."""

    def __init__(self, level: str) -> None:
        self._level = logging.getLevelNamesMapping()[level.upper()]

    def info(self, event: str, **fields: object) -> None:
        if self._level <= logging.INFO:
            self._write("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        if self._level <= logging.WARNING:
            self._write("warning", event, fields)

    def _write(self, level: str, event: str, fields: dict[str, object]) -> None:
        head = {"timestamp": datetime.now(UTC), "level": level, "logger": _REQUESTS, "event": event}
        LOG_OUTPUT.write(_encode(head | fields).decode())


class _RequestLines:
    """The sink of request lines."""

    def msg(self, line: str) -> None:
        LOG_OUTPUT.write(line)

    info = warning = msg


class _LogLines(logging.Handler):
    """The sink of all other lines."""

    def emit(self, record: logging.LogRecord) -> None:
        LOG_OUTPUT.write(self.format(record))


def set_up_logging(level: str, form: Format) -> None:
    """Configure the standard library's logging of this process, uvicorn included. uvicorn's access log is dropped,
    because its lines contain the query string."""
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name, *_STAMPS],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(form)],
    )
    handler = _LogLines()
    handler.setFormatter(formatter)
    logging.root.handlers = [handler]
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], name != "uvicorn.access"
    logging.getLogger("unroll").setLevel(level.upper())


def request_logger(level: str, form: Format) -> Logger:
    """The logger of request lines."""
    if not _is_console(form):
        return _JsonRequestLines(level)
    logger: Logger = structlog.wrap_logger(
        _RequestLines(),
        processors=[*_STAMPS, *_rendering(form)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    ).bind(logger=_REQUESTS)
    return logger


def _is_console(form: Format) -> bool:
    return form == "console" or (form == "auto" and sys.stderr.isatty())


def _rendering(form: Format) -> list[Processor]:
    """The last steps of rendering. Tracebacks omit the values of variables, which may contain users' data."""
    if _is_console(form):
        return [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback, sort_keys=False
            )
        ]
    return [structlog.processors.format_exc_info, _as_json]


def _as_json(logger: Any, method: str, fields: EventDict) -> str:
    head = {name: fields.pop(name, None) for name in _HEAD}
    return _encode({**head, **fields}).decode()
