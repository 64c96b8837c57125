"""The body of a response, read until the deadline. httpx limits the time between two chunks, not the time of all."""

from collections.abc import AsyncIterator

import httpx

from unroll_client.policy import seconds_left


class AsyncBounded(httpx.AsyncByteStream):
    """Raises httpx.ReadTimeout when a chunk comes after the deadline."""

    def __init__(self, response: httpx.Response, deadline: float | None) -> None:
        assert isinstance(response.stream, httpx.AsyncByteStream)
        self._stream = response.stream
        self._request = response.request
        self._deadline = deadline

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            left = seconds_left(self._deadline)
            if left is not None and left < 0:
                raise httpx.ReadTimeout("the body did not end within the timeout", request=self._request)
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
