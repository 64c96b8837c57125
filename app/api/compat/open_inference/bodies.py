"""Bodies of requests under `/v2`: JSON with any content type."""

import asyncio
from typing import TypeVar

from pydantic import BaseModel

from app.api.body import parsed

_INLINE_BYTES = 65_536  # of JSON; a thread parses longer bodies, which would block the event loop
Form = TypeVar("Form", bound=BaseModel)


async def read(content: bytes, form: type[Form]) -> Form:
    """JSON as a `form`. Raises RequestValidationError."""
    return parsed(content, form) if len(content) <= _INLINE_BYTES else await asyncio.to_thread(parsed, content, form)
