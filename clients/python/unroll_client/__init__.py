"""A client of the service: `Unroll(url)`, and `AsyncUnroll(url)` for asyncio. It needs httpx and pydantic, and neither
torch nor the rest of the service.

`calls` says what is sent, `exchange` when and how often, `answers` what comes back, as `results` or `errors`, and
`streams` what comes back token by token. The I/O is in `sync_client` and `async_client`, which do nothing else.
"""

from app.client.async_client import AsyncUnroll
from app.client.calls import Image
from app.client.errors import (
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
from app.client.options import CompleteOptions, SentenceOptions, SentimentOptions, TaskOptions, TranslateOptions
from app.client.policy import Retries, Timeout
from app.client.results import (
    Answers,
    ModelInfo,
    ModelList,
    Readiness,
    SentenceResult,
    SentimentResult,
    Token,
    Usage,
)
from app.client.streams import AsyncStream, Stream
from app.client.sync_client import Unroll

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
