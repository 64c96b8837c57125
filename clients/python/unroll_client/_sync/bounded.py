# Generated from unroll_client/_async by `make client`; change that.
"""The body of a response, read until the deadline. httpx limits the time between two chunks, not the time of all."""

from collections.abc import Iterator

import httpx

from unroll_client.policy import seconds_left


class Bounded(httpx.SyncByteStream):
    """Raises httpx.ReadTimeout when a chunk comes after the deadline."""

    def __init__(self, response: httpx.Response, deadline: float | None) -> None:
        assert isinstance(response.stream, httpx.SyncByteStream)
        self._stream = response.stream
        self._request = response.request
        self._deadline = deadline

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            left = seconds_left(self._deadline)
            if left is not None and left < 0:
                raise httpx.ReadTimeout("the body did not end within the timeout", request=self._request)
            yield chunk

    def close(self) -> None:
        self._stream.close()
