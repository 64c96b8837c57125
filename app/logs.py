"""Log lines of all processes: JSON objects, or columns for people, all of one form, to standard error.

Lines of this service, of its engines, of uvicorn and of libraries come by way of the standard library; that of each
request is written directly, as it is written often. See docs/observability.md.
"""

import logging
import os
import sys
from contextlib import suppress
from typing import Any, Literal, Protocol

import msgspec
import structlog
from structlog.typing import EventDict, Processor

Format = Literal["auto", "json", "console"]
_STDERR = 2
_HEAD = ("timestamp", "level", "logger", "event")
_encode = msgspec.json.Encoder(enc_hook=str).encode
_STAMPS: list[Processor] = [
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


class Lines(Protocol):
    """Writes lines: a name, and what is told beside it."""

    def info(self, event: str, **fields: object) -> None: ...

    def warning(self, event: str, **fields: object) -> None: ...


class _StandardError:
    """A line in one write, so that lines of several processes do not mix. One that cannot be written is lost, so that
    no request fails for it."""

    def msg(self, line: str) -> None:
        with suppress(OSError):
            os.write(_STDERR, line.encode() + b"\n")

    info = warning = msg


def set_up_logging(level: str, form: Format) -> None:
    """Lines of this process that come by way of the standard library, uvicorn's among them. uvicorn's own line for each
    request has the query in it and is not written."""
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name, *_STAMPS],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(form)],
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.root.handlers = [handler]
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], name != "uvicorn.access"
    logging.getLogger("unroll").setLevel(level.upper())


def request_lines(level: str, form: Format) -> Lines:
    """Where the lines of requests are written."""
    lines: Lines = structlog.wrap_logger(
        _StandardError(),
        processors=[*_STAMPS, *_rendering(form)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    ).bind(logger="unroll.requests")
    return lines


def _rendering(form: Format) -> list[Processor]:
    """Tracebacks without the values of variables, which hold what people sent."""
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
