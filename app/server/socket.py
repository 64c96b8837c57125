"""A WebSocket as a request whose body comes piece by piece: a message is a line of the body, and a line of the answer
is a message. The application knows no difference; on other servers `app.api.middleware.web_socket` does this.
`websockets` reads and writes the frames."""

import json
from collections.abc import Sequence
from typing import Any, cast

from uvicorn._types import ASGISendEvent
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from app.api.pieces.answers import NDJSON
from app.api.pieces.opening import READ_PIECES
from app.errors import MalformedRequest
from app.server.cycle import Cycle
from app.server.heads import Header

_MESSAGES = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)


def asks_for_socket(method: bytes, path: bytes, headers: Sequence[Header]) -> bool:
    """Whether a head with `Upgrade` asks for a WebSocket where there may be one."""
    is_there = path.partition(b"?")[0].endswith(READ_PIECES.path.encode())
    return method == b"GET" and is_there and (b"upgrade", b"websocket") in [(n, v.lower()) for n, v in headers]


def as_pieces(scope: dict[str, Any]) -> None:
    """Make the head of a WebSocket that of a request with pieces."""
    headers = scope["headers"]
    headers[:] = [item for item in headers if item[0] != b"content-type"]
    headers.append((b"content-type", NDJSON.encode()))
    scope["method"] = "POST"


class SocketCycle(Cycle):
    """One WebSocket. It opens when the application begins to read it; a refusal before is an answer in HTTP."""

    _socket: ServerProtocol
    _request: Request
    _message = b""  # fragments of a message that has not ended
    _line = b""  # of the answer, until it ends
    _status = 200
    _has_failed = False

    def prepare(self, head: bytes, most: int) -> None:
        """Take the head of the request. Messages have at most `most` bytes."""
        self.keep_alive = False
        self._socket = ServerProtocol(max_size=most)
        self._socket.receive_data(head)
        events = self._socket.events_received()
        if not events:
            raise MalformedRequest("the head of the WebSocket cannot be read")
        self._request = cast(Request, events[0])

    @property
    def is_open(self) -> bool:
        """Whether messages may come and go."""
        return self._socket.state is State.OPEN

    def open(self) -> None:
        """Answer the handshake. Raises MalformedRequest."""
        response = self._socket.accept(self._request)
        if response.status_code != 101:
            raise MalformedRequest((response.body or b"").decode(errors="replace").strip() or "not a WebSocket")
        self._socket.send_response(response)
        self._write()

    def read(self, data: bytes) -> bool:
        """Take frames. Whether a message has come."""
        self._socket.receive_data(data)
        has_message = False
        for event in self._socket.events_received():
            if isinstance(event, Frame) and event.opcode in _MESSAGES:
                self._message += bytes(event.data)
                if event.fin:
                    self.body += self._message.replace(b"\n", b" ") + b"\n"
                    self._message = b""
                    has_message = True
        self._write()
        if not self.is_open:
            self.disconnected = True
        if has_message or self.disconnected:
            self.message_event.set()
        return has_message

    async def send(self, event: ASGISendEvent) -> None:
        if self._socket.state is State.CONNECTING:
            await super().send(event)
            return
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected or not self.is_open:
            return
        if event["type"] == "http.response.start":
            self.response_started, self._status = True, event["status"]
        elif event["type"] == "http.response.body":
            self._tell(event.get("body", b""), is_last=not event.get("more_body", False))

    def _tell(self, body: bytes, *, is_last: bool) -> None:
        *lines, self._line = (self._line + body).split(b"\n")
        if is_last and self._line:
            lines.append(self._line)
        if self._status != 200:
            lines = [json.dumps({"error": json.loads(line)}, ensure_ascii=False).encode() for line in lines]
        for line in lines:
            self._has_failed = line.startswith(b'{"error"')
            self._socket.send_text(line)
        if is_last:
            self._socket.send_close(CloseCode.POLICY_VIOLATION if self._has_failed else CloseCode.NORMAL_CLOSURE)
        self._write()
        if is_last:
            self.response_complete = True
            self.message_event.set()
            self.on_response()

    def _write(self) -> None:
        data = b"".join(self._socket.data_to_send())
        if data and not self.transport.is_closing():
            self.transport.write(data)
