"""A client of the service: `Unroll(url)`, and `AsyncUnroll(url)` for asyncio. It needs httpx alone.

`tasks` is the table of tasks; `sources` and `calls` build requests, `responses` and `streamed` read answers into
`results` or `errors`. The I/O is in `_async`; `_sync` is generated from it.
"""

from unroll_client._async.client import AsyncUnroll
from unroll_client._async.stream import AsyncStream
from unroll_client._sync.client import Unroll
from unroll_client._sync.stream import Stream
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
from unroll_client.options import CaptionOptions, CompleteOptions, SentimentOptions, TranslateOptions
from unroll_client.policy import Retries, Timeout
from unroll_client.results import (
    Answers,
    LabelResult,
    ModelInfo,
    ModelList,
    Readiness,
    SentenceResult,
    SentimentResult,
    TaskResult,
    Token,
    Usage,
)
from unroll_client.sources import Image
from unroll_client.tasks import TASKS, Task

__all__ = [
    "TASKS",
    "Answers",
    "AsyncStream",
    "AsyncUnroll",
    "CaptionOptions",
    "CompleteOptions",
    "ConnectionFailed",
    "Image",
    "InvalidRequest",
    "LabelResult",
    "ModelInfo",
    "ModelList",
    "NotAllowed",
    "NotReady",
    "Overloaded",
    "ProblemError",
    "Readiness",
    "Retries",
    "SentenceResult",
    "SentimentOptions",
    "SentimentResult",
    "ServiceFailed",
    "ServiceTimedOut",
    "Stream",
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
]
