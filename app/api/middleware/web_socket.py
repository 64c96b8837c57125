"""A WebSocket of another ASGI server, such as Ray Serve's, as a request whose body comes piece by piece: a plain ASGI
middleware. The own server does the same itself (`app.server.socket`), and answers refusals in HTTP.
"""

import json

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.pieces.answers import NDJSON
from app.api.pieces.opening import READ_PIECES

_NORMAL, _VIOLATION = 1000, 1008  # RFC 6455, section 7.4.1


class WebSocket:
    """A message is a line of the body, and a line of the answer is a message; a problem is `{"error": ...}`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket" or not scope["path"].endswith(READ_PIECES.path):
            await self._app(scope, receive, send)
            return
        await receive()  # websocket.connect
        await send({"type": "websocket.accept"})
        headers = [item for item in scope["headers"] if item[0] != b"content-type"]
        request = {
            **scope,
            "type": "http",
            "method": "POST",
            "scheme": scope["scheme"].replace("ws", "http", 1),
            "headers": [*headers, (b"content-type", NDJSON.encode())],
        }
        await self._app(request, _Lines(receive), _Messages(send))


class _Lines:
    """The messages of the client as pieces of a body."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] != "websocket.receive":
            return {"type": "http.disconnect"}
        data: bytes = message.get("bytes") or (message.get("text") or "").encode()
        return {"type": "http.request", "body": data.replace(b"\n", b" ") + b"\n", "more_body": True}


class _Messages:
    """The pieces of an answer as messages to the client, and the close that follows the last one."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._status = 200
        self._line = b""
        self._has_failed = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            return
        is_last = not message.get("more_body", False)
        *lines, self._line = (self._line + message.get("body", b"")).split(b"\n")
        if is_last and self._line:
            lines.append(self._line)
        for line in lines:
            text = line.decode() if self._status == 200 else json.dumps({"error": json.loads(line)}, ensure_ascii=False)
            self._has_failed = text.startswith('{"error"')
            await self._send({"type": "websocket.send", "text": text})
        if is_last:
            await self._send({"type": "websocket.close", "code": _VIOLATION if self._has_failed else _NORMAL})
