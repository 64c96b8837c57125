"""The body of a response, for as long as there is time. httpx's own limits are of silence: a body that comes in drops
would be read for ever."""

from collections.abc import AsyncIterator, Iterator

import httpx

from unroll_client.policy import seconds_left


class Bounded(httpx.SyncByteStream):
    """Raises httpx.ReadTimeout when something comes after the deadline."""

    def __init__(self, response: httpx.Response, deadline: float | None) -> None:
        assert isinstance(response.stream, httpx.SyncByteStream)
        self._stream = response.stream
        self._request = response.request
        self._deadline = deadline

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            _check(self._deadline, self._request)
            yield chunk

    def close(self) -> None:
        self._stream.close()


class AsyncBounded(httpx.AsyncByteStream):
    """`Bounded`, for asyncio."""

    def __init__(self, response: httpx.Response, deadline: float | None) -> None:
        assert isinstance(response.stream, httpx.AsyncByteStream)
        self._stream = response.stream
        self._request = response.request
        self._deadline = deadline

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            _check(self._deadline, self._request)
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


def _check(deadline: float | None, request: httpx.Request) -> None:
    left = seconds_left(deadline)
    if left is not None and left < 0:
        raise httpx.ReadTimeout("the body did not end within the time given", request=request)
