"""Log lines of every process, as JSON objects or as columns, on standard error (docs/observability.md).

The service, its engines, uvicorn and libraries log through the standard library. Request lines bypass it, because they
are frequent.
"""

import logging
import sys
from typing import Any, Literal, Protocol

import msgspec
import structlog
from structlog.typing import EventDict, Processor

from app.log_output import LOG_OUTPUT

Format = Literal["auto", "json", "console"]
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
    logger: Logger = structlog.wrap_logger(
        _RequestLines(),
        processors=[*_STAMPS, *_rendering(form)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    ).bind(logger="unroll.requests")
    return logger


def _rendering(form: Format) -> list[Processor]:
    """The last steps of rendering. Tracebacks omit the values of variables, which may contain users' data."""
    if form == "console" or (form == "auto" and sys.stderr.isatty()):
        return [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback, sort_keys=False
            )
        ]
    return [structlog.processors.format_exc_info, _as_json]


def _as_json(logger: Any, method: str, fields: EventDict) -> str:
    head = {name: fields.pop(name, None) for name in _HEAD}
    return _encode({**head, **fields}).decode()
