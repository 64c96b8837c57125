# Generated from unroll_client/_async by `make client`; change that.
"""HTTP requests with a deadline and retries."""

import time
from itertools import count
from typing import Any

import httpx

from unroll_client._sync.bounded import Bounded
from unroll_client._sync.socket import Socket
from unroll_client.address import client_arguments
from unroll_client.errors import UnexpectedAnswer, UnrollClientError
from unroll_client.frames import accepted, new_key
from unroll_client.policy import Retries, Timeout, seconds_left, service_timeout_ms
from unroll_client.responses import check_status, request_error


class Http:
    """Connections to the service."""

    def __init__(self, url: str, api_key: str | None, timeout: Timeout, retries: Retries) -> None:
        self._client = httpx.Client(**client_arguments(url, api_key))
        self._timeout = timeout
        self._retries = retries

    def close(self) -> None:
        self._client.close()

    def deadline(self) -> float | None:
        """The end of a request that starts now."""
        return self._timeout.deadline()

    def request(
        self, request: dict[str, Any], *, timeout_ms: int | None = None, stream: bool = False
    ) -> httpx.Response:
        """A response with status 200, after retries. With `stream` its body is not read. Raises UnrollClientError."""
        deadline = self._timeout.deadline()
        for attempt in count(1):
            try:
                response = self.send(_with_remaining_time(request, deadline, timeout_ms), deadline, stream=stream)
                check_status(response)
                return response
            except UnrollClientError as error:
                wait = self._retries.wait_after(attempt, error)
                left = seconds_left(deadline)
                if wait is None or (left is not None and wait >= left):
                    raise
            time.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def send_once(self, request: dict[str, Any]) -> httpx.Response:
        """A response with any status. Raises UnrollClientError."""
        return self.send(request, self._timeout.deadline())

    def socket(self, url: str, deadline: float | None) -> Socket:
        """A WebSocket. Raises UnrollClientError."""
        key = new_key()
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
        headers = upgrade | {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key}
        timeout = self._timeout.for_httpx(deadline)
        prepared = self._client.build_request("GET", url, headers=headers, timeout=timeout)
        try:
            response = self._client.send(prepared, stream=True)
            if response.status_code == 101 and response.headers.get("Sec-WebSocket-Accept") == accepted(key):
                return Socket(response)
            try:
                if response.status_code != 101:
                    response.read()
            finally:
                response.close()
        except httpx.RequestError as error:
            raise request_error(error) from error
        if response.status_code != 101:
            check_status(response)
        raise UnexpectedAnswer(f"{response.url} opens no WebSocket; a proxy before the service must pass Upgrade")

    def send(self, request: dict[str, Any], deadline: float | None, *, stream: bool = False) -> httpx.Response:
        """One attempt. With `stream` the body of a 200 is not read. Raises UnrollClientError."""
        prepared = self._client.build_request(**request, timeout=self._timeout.for_httpx(deadline))
        try:
            response = self._client.send(prepared, stream=True)
            response.stream = Bounded(response, deadline)
            if not (stream and response.status_code == 200):
                try:
                    response.read()
                finally:
                    response.close()
        except httpx.RequestError as error:
            raise request_error(error) from error
        return response


def _with_remaining_time(request: dict[str, Any], deadline: float | None, timeout_ms: int | None) -> dict[str, Any]:
    """A request of a task carries the remaining time in a header."""
    left = service_timeout_ms(seconds_left(deadline), timeout_ms)
    if left is None or request["method"] != "POST":
        return request
    return {**request, "headers": {**request.get("headers", {}), "X-Timeout-Ms": str(left)}}
