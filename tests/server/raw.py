"""HTTP by hand, over sockets: what no client library would send."""

import json
import socket
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tests.conftest import PATIENCE

BODY = b'{"inputs": "a good film"}'


class Answer(NamedTuple):
    """A response read from a socket."""

    status: int
    headers: Mapping[bytes, bytes]
    body: Any


def connected(address: str, *, seconds: float = PATIENCE) -> socket.socket:
    parts = urlsplit(address)
    return socket.create_connection((parts.hostname, parts.port), timeout=seconds)


def head(path: str = "/v1/sentiment", *lines: str, method: str = "POST") -> bytes:
    """The head of a request, with these further lines."""
    first = f"{method} {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json"
    return "\r\n".join((*first, *lines, "", "")).encode()


def length(size: int = len(BODY)) -> str:
    return f"Content-Length: {size}"


def read_answer(connection: socket.socket) -> Answer:
    """The next response on a connection. Nothing after it is lost."""
    received = b""
    while not received.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        assert byte, f"the connection ended after {received!r}"
        received += byte
    status, *lines = received[:-4].split(b"\r\n")
    headers = {name.lower(): value for name, value in (line.split(b": ", 1) for line in lines)}
    body = b""
    while len(body) < int(headers[b"content-length"]):
        body += connection.recv(int(headers[b"content-length"]) - len(body))
    return Answer(int(status.split()[1]), headers, json.loads(body))


def ask(address: str, *parts: bytes) -> Answer:
    """The response to `parts`, each sent in a segment of its own."""
    with connected(address) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            connection.sendall(part)
            time.sleep(0.05)
        return read_answer(connection)


def is_closed(connection: socket.socket) -> bool:
    """Whether the other end closes the connection, before it would for being idle by default."""
    connection.settimeout(60)
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return False
    except ConnectionResetError:
        pass
    return True
