"""A client of the service: `Unroll(url)`, and `AsyncUnroll(url)` for asyncio. It needs httpx and pydantic, and neither
torch nor the rest of the service.

`calls` says what is sent, `exchange` when and how often, `answers` what comes back, as `results` or `errors`, and
`streams` what comes back token by token. The I/O is in `sync_client` and `async_client`, which do nothing else.
"""

from unroll_client.async_client import AsyncUnroll
from unroll_client.calls import Image
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
from unroll_client.options import CompleteOptions, SentenceOptions, SentimentOptions, TaskOptions, TranslateOptions
from unroll_client.policy import Retries, Timeout
from unroll_client.results import (
    Answers,
    ModelInfo,
    ModelList,
    Readiness,
    SentenceResult,
    SentimentResult,
    Token,
    Usage,
)
from unroll_client.streams import AsyncStream, Stream
from unroll_client.sync_client import Unroll

__all__ = [
    "Answers",
    "AsyncStream",
    "AsyncUnroll",
    "CompleteOptions",
    "ConnectionFailed",
    "Image",
    "InvalidRequest",
    "ModelInfo",
    "ModelList",
    "NotAllowed",
    "NotReady",
    "Overloaded",
    "ProblemError",
    "Readiness",
    "Retries",
    "SentenceOptions",
    "SentenceResult",
    "SentimentOptions",
    "SentimentResult",
    "ServiceFailed",
    "ServiceTimedOut",
    "Stream",
    "TaskOptions",
    "TimedOut",
    "Timeout",
    "Token",
    "TranslateOptions",
    "UnexpectedAnswer",
    "Unroll",
    "UnrollClientError",
    "Usage",
]
