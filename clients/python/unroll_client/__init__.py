"""A client of the service: `Unroll(url)`, and `AsyncUnroll(url)` for asyncio. It needs httpx alone.

`tasks` is the table of tasks; `sources`, `bodies` and `calls` build requests, `responses` and `streamed` read answers
into `results`, `forecasts` or `errors`. The I/O is in `_async`; `_sync` is generated from it. Modules that import httpx
are imported when one of their names is used: the help of `unroll ask` needs the tables alone.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from unroll_client.errors import (
    ConnectionFailed,
    InvalidRequest,
    NotAllowed,
    NotReady,
    Overloaded,
    ProblemError,
    ServiceFailed,
    ServiceTimedOut,
    TimedOut,
    UnexpectedAnswer,
    UnrollClientError,
)
from unroll_client.forecasts import ForecastResult, ForecastRows, WindowForecast
from unroll_client.options import (
    CaptionOptions,
    ClassifyOptions,
    CompleteOptions,
    EmbedOptions,
    ForecastOptions,
    SentimentOptions,
    StatesOptions,
    TagOptions,
    TranslateOptions,
)
from unroll_client.results import (
    Answers,
    LabelResult,
    PrimedResult,
    SentenceResult,
    SentimentResult,
    Span,
    StateResult,
    TagResult,
    TaskResult,
    Token,
    Usage,
    WordTag,
)
from unroll_client.series import Csv
from unroll_client.service_info import ModelInfo, ModelList, Readiness, SessionInfo
from unroll_client.sources import Clip, Image
from unroll_client.tasks import CLASSIFY, FORECAST, SENTIMENT, TAG, TASKS, Task

if TYPE_CHECKING:
    from unroll_client._async.client import AsyncUnroll
    from unroll_client._async.pieces import AsyncPieces
    from unroll_client._async.stream import AsyncForecastStream, AsyncStream
    from unroll_client._sync.client import Unroll
    from unroll_client._sync.pieces import Pieces
    from unroll_client._sync.stream import ForecastStream, Stream
    from unroll_client.policy import Retries, Timeout

__all__ = [
    "CLASSIFY",
    "FORECAST",
    "SENTIMENT",
    "TAG",
    "TASKS",
    "Answers",
    "AsyncForecastStream",
    "AsyncPieces",
    "AsyncStream",
    "AsyncUnroll",
    "CaptionOptions",
    "ClassifyOptions",
    "Clip",
    "CompleteOptions",
    "ConnectionFailed",
    "Csv",
    "EmbedOptions",
    "ForecastOptions",
    "ForecastResult",
    "ForecastRows",
    "ForecastStream",
    "Image",
    "InvalidRequest",
    "LabelResult",
    "ModelInfo",
    "ModelList",
    "NotAllowed",
    "NotReady",
    "Overloaded",
    "Pieces",
    "PrimedResult",
    "ProblemError",
    "Readiness",
    "Retries",
    "SentenceResult",
    "SentimentOptions",
    "SentimentResult",
    "ServiceFailed",
    "ServiceTimedOut",
    "SessionInfo",
    "Span",
    "StateResult",
    "StatesOptions",
    "Stream",
    "TagOptions",
    "TagResult",
    "Task",
    "TaskResult",
    "TimedOut",
    "Timeout",
    "Token",
    "TranslateOptions",
    "UnexpectedAnswer",
    "Unroll",
    "UnrollClientError",
    "Usage",
    "WindowForecast",
    "WordTag",
]

_LATER = {
    "AsyncForecastStream": "_async.stream",
    "AsyncPieces": "_async.pieces",
    "AsyncStream": "_async.stream",
    "AsyncUnroll": "_async.client",
    "ForecastStream": "_sync.stream",
    "Pieces": "_sync.pieces",
    "Retries": "policy",
    "Stream": "_sync.stream",
    "Timeout": "policy",
    "Unroll": "_sync.client",
}


if not TYPE_CHECKING:  # which would take every name

    def __getattr__(name: str) -> Any:
        """Import the module of a name that needs httpx."""
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
