"""Sources that come in pieces over one request: the same answers as states give, limits, hang-ups and idle streams."""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import CloseCode
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from tests.api.test_states import ROWS, TEXT, near, publish_states
from tests.conftest import PATIENCE, serving_store
from tests.service.serving import metric, until

_PATH = "/v1/sentiment/stream"
_MODEL = {"model": "sentiment-en-uni"}
_TASKS: dict[str, tuple[Any, dict[str, Any]]] = {
    "sentiment": (TEXT, _MODEL),
    "classify": (TEXT, _MODEL),
    "tag": (TEXT, {"model": "tag-forward"}),
    "forecast": ([row[:2] for row in ROWS], {"model": "forecast-state", "horizon": 3}),
}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("pieces")
    (folder / "service").mkdir()
    store: Path = publish_states(folder)
    with serving_store(store, folder / "service", precision="float32", max_streams=40, max_piece_bytes=4096) as address:
        yield address


class Stream:
    """A stream of pieces on a socket of its own: what a client sends and reads in turns."""

    def __init__(
        self,
        address: str,
        path: str = _PATH,
        *headers: str,
        receives: int = 0,
        sends: int = 0,
        trusted: ssl.SSLContext | None = None,
    ) -> None:
        parts = urlsplit(address)
        self._socket = socket.socket()
        self._socket.settimeout(PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for option, size in ((socket.SO_RCVBUF, receives), (socket.SO_SNDBUF, sends)):
            if size:
                self._socket.setsockopt(socket.SOL_SOCKET, option, size)
        self._socket.connect((parts.hostname, parts.port))
        if trusted is not None:
            self._socket = trusted.wrap_socket(self._socket, server_hostname=parts.hostname)
        self._file = self._socket.makefile("rb")
        head = [f"POST {path} HTTP/1.1", "Host: localhost", "Transfer-Encoding: chunked", *headers]
        if not any(header.startswith("Content-Type") for header in headers):
            head.append("Content-Type: application/x-ndjson")
        self._socket.sendall("\r\n".join([*head, "", ""]).encode())
        self._has_head = False
        self.status = 0

    def send(self, *pieces: object) -> None:
        self.send_bytes(b"".join(json.dumps(piece).encode() + b"\n" for piece in pieces))

    def fileno(self) -> int:
        return self._socket.fileno()

    def send_raw(self, data: bytes) -> None:
        self._socket.sendall(data)

    def send_some(self, data: bytes | memoryview) -> int:
        """Send what can be sent now; the number of bytes."""
        return self._socket.send(data, socket.MSG_DONTWAIT)

    def finish_later(self, data: bytes) -> None:
        """Send the rest of a piece, in a thread."""

        def finish() -> None:
            with suppress(OSError):  # it is closed
                self.send_raw(data)

        threading.Thread(target=finish, daemon=True).start()

    def receive(self) -> bytes:
        return self._socket.recv(65_536)

    def send_bytes(self, data: bytes) -> None:
        self._socket.sendall(b"%x\r\n%b\r\n" % (len(data), data))

    def end(self) -> None:
        self._socket.sendall(b"0\r\n\r\n")

    def head(self) -> dict[str, str]:
        self.status = int(self._file.readline().split()[1])
        headers = {}
        while line := self._file.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        self._has_head = True
        return headers

    def answer(self) -> dict[str, Any] | None:
        """The next line of the answer, None after the last one."""
        if not self._has_head:
            self.head()
        size = int(self._file.readline(), 16)
        data = self._file.read(size)
        self._file.readline()
        return json.loads(data) if data else None

    def problem(self) -> dict[str, Any]:
        """The problem that answers instead."""
        headers = self.head()
        if "content-length" in headers:
            return dict(json.loads(self._file.read(int(headers["content-length"]))))
        self._has_head = True
        answer = self.answer()
        assert answer is not None
        return answer

    def close(self) -> None:
        self._socket.close()
        with suppress(OSError):
            self._file.close()


@contextmanager
def _stream(address: str, *arguments: str) -> Iterator[Stream]:
    stream = Stream(address, *arguments)
    try:
        yield stream
    finally:
        stream.close()


class Messages:
    """The same over a WebSocket."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    def send(self, piece: object) -> None:
        self._connection.send(json.dumps(piece))

    def answer(self) -> dict[str, Any]:
        return dict(json.loads(self._connection.recv(timeout=PATIENCE)))


@contextmanager
def _socket(address: str, path: str) -> Iterator[Messages]:
    with connect(address.replace("http", "ws") + path) as connection:
        yield Messages(connection)


def _result(answer: dict[str, Any] | None) -> dict[str, Any]:
    assert answer is not None
    assert "error" not in answer, answer
    (result,) = answer["results"]
    return dict(result)


def _at_once(address: str, path: str, inputs: object, **members: object) -> dict[str, Any]:
    answer = httpx.post(address + path, json={"inputs": inputs, **members}, timeout=PATIENCE)
    assert answer.status_code == 200, answer.text
    return _result(answer.json())


def test_each_piece_has_the_answer_to_all_pieces_so_far(address: str) -> None:
    cuts = [0, 3, 17, 18, 40, len(TEXT)]
    with _stream(address) as stream:
        for begin, end in pairwise(cuts):
            stream.send({"inputs": TEXT[begin:end], **(_MODEL if begin == 0 else {})})
            assert _result(stream.answer()) == _at_once(address, "/v1/sentiment", TEXT[:end], **_MODEL)
        stream.end()
        assert stream.answer() is None


def test_pieces_sent_together_are_answered_in_order(address: str) -> None:
    lines = [json.dumps({"inputs": piece} | _MODEL) for piece in ("A warm, ", "funny ", "film")]
    answer = httpx.post(
        address + _PATH, content="\n\n".join(lines), headers={"Content-Type": "application/x-ndjson"}, timeout=PATIENCE
    )
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-ndjson"
    results = [_result(json.loads(line)) for line in answer.text.splitlines()]
    assert results[-1] == _at_once(address, "/v1/sentiment", "A warm, funny film", **_MODEL)
    assert len(results) == 3


@pytest.mark.parametrize("as_socket", [False, True], ids=["lines", "socket"])
@pytest.mark.parametrize("task", ["sentiment", "classify", "tag", "forecast"])
def test_each_task_reads_pieces(address: str, task: str, as_socket: bool) -> None:
    """Over lines and over a WebSocket, each answer is sent before the next piece comes."""
    whole, members = _TASKS[task]
    path, cuts = f"/v1/{task}", [0, len(whole) // 4, len(whole) // 2 + 1, len(whole)]
    with _socket(address, f"{path}/stream") if as_socket else _stream(address, f"{path}/stream") as stream:
        for begin, end in pairwise(cuts):
            stream.send({"inputs": whole[begin:end], **(members if begin == 0 else {})})
            result, expected = _result(stream.answer()), _at_once(address, path, whole[:end], **members)
            if task == "tag":  # the words since the piece before, whose last one may have grown
                expected = {"tags": [near(word) for word in expected["tags"][-len(result["tags"]) :]]}
            assert {name: result[name] for name in expected} == expected


def test_a_piece_has_a_deadline_of_its_own(address: str) -> None:
    rows = [row[:2] for row in ROWS]
    with _stream(address, "/v1/forecast/stream") as stream:
        stream.send({"inputs": rows[:9], "model": "forecast-state", "horizon": 10_000, "timeout_ms": 100})
        late = _result(stream.answer())
        assert late["finish_reason"] == "deadline"
        assert len(late["values"]) < 10_000
        stream.send({"inputs": rows[9:], "horizon": 3, "timeout_ms": 60_000})
        assert _result(stream.answer()) == _at_once(address, "/v1/forecast", rows, model="forecast-state", horizon=3)


def test_a_state_continues_a_stream_elsewhere(address: str) -> None:
    with _stream(address) as stream:
        stream.send({"inputs": "A warm, ", "return_state": True} | _MODEL)
        state = _result(stream.answer())["state"]
    with _stream(address) as stream:
        stream.send({"inputs": "funny film", "state": state})
        result = _result(stream.answer())
    assert result == _at_once(address, "/v1/sentiment", "A warm, funny film", **_MODEL)


@pytest.mark.parametrize(
    ("piece", "slug", "status"),
    [
        (b"{]\n", "unreadable-body", 400),
        (b"[1]\n", "unreadable-body", 400),
        (b'{"inputs": ["a b", "c d"]}\n', "too-many-inputs", 422),
        (b'{"inputs": "a b", "state": ""}\n', "invalid-request", 422),
        (b'{"inputs": "a b", "state": false}\n', "invalid-request", 422),
        (b'{"inputs": "a b", "model": "nothing"}\n', "model-not-found", 404),
        (b'{"inputs": "a b", "model": "sentiment-en"}\n', "no-state", 422),
        (b'{"inputs": "a b", "unknown": 1}\n', "invalid-request", 422),
        (
            b'{"inputs": "a b", "model": "sentiment-en-uni", "session": "s", "session_start": true}\n',
            "contradictory-options",
            422,
        ),
        (b'{"inputs": "' + b"a" * 5000, "body-too-large", 413),
    ],
)
def test_what_is_wrong_with_the_first_piece_is_a_problem(address: str, piece: bytes, slug: str, status: int) -> None:
    with _stream(address) as stream:
        stream.send_bytes(piece)
        problem = stream.problem()
        assert problem["type"] == f"/problems/{slug}", problem
        assert stream.status == problem["status"] == status


def test_what_is_wrong_with_a_later_piece_is_the_last_line(address: str) -> None:
    with _stream(address) as stream:
        stream.send({"inputs": "A warm, "} | _MODEL, {"inputs": 3}, {"inputs": "funny"})
        assert _result(stream.answer())
        answer = stream.answer()
        assert answer is not None
        assert answer["error"]["type"] == "/problems/invalid-request"
        assert stream.answer() is None


def test_other_content_is_refused(address: str) -> None:
    with _stream(address, _PATH, "Content-Type: application/json") as stream:
        assert stream.problem()["type"] == "/problems/unsupported-media"
    with _stream(address, _PATH, "Content-Encoding: gzip") as stream:
        assert stream.problem()["type"] == "/problems/unsupported-media"


def test_a_stream_without_pieces_ends(tmp_path: Path) -> None:
    folder, store = tmp_path / "service", publish_states(tmp_path)
    folder.mkdir()
    with (
        serving_store(store, folder, precision="float32", stream_seconds=3.0) as address,
        _stream(address) as stream,
    ):
        stream.send({"inputs": "A warm, "} | _MODEL)
        assert _result(stream.answer())
        answer = stream.answer()
        assert answer is not None
        assert answer["error"]["type"] == "/problems/request-too-slow"
        assert stream.answer() is None


def test_more_streams_than_the_limit_are_refused_until_one_hangs_up(address: str) -> None:
    streams = [Stream(address) for _ in range(40)]
    for stream in streams:
        stream.send({"inputs": "A warm, "} | _MODEL)
    for stream in streams:
        assert _result(stream.answer())
    with _stream(address) as one_more:
        one_more.send({"inputs": "A warm, "} | _MODEL)
        assert one_more.problem()["type"] == "/problems/overloaded"
    for stream in streams:
        stream.close()

    def has_room() -> bool:
        with _stream(address) as again:
            again.send({"inputs": "A warm, "} | _MODEL)
            again.head()
            return again.status == 200

    until(has_room)


def test_idle_streams_hold_no_place_of_a_request(address: str) -> None:
    with _stream(address) as stream:
        stream.send({"inputs": "A warm, "} | _MODEL)
        assert _result(stream.answer())
        assert metric(address, "unroll_pending_requests") == 0


def test_a_socket_has_the_same_answers(address: str) -> None:
    with connect(address.replace("http", "ws") + _PATH) as socket:
        for piece, whole in (("A warm, fu", "A warm, fu"), ("nny film", "A warm, funny film")):
            socket.send(json.dumps({"inputs": piece} | _MODEL, indent=1))
            result = _result(json.loads(socket.recv(timeout=PATIENCE)))
            assert result == _at_once(address, "/v1/sentiment", whole, **_MODEL)
        assert socket.ping().wait(PATIENCE)


def test_what_is_wrong_with_a_message_ends_the_socket(address: str) -> None:
    for good in (0, 1):
        with connect(address.replace("http", "ws") + _PATH) as socket:
            for _ in range(good):
                socket.send(json.dumps({"inputs": "A warm, "} | _MODEL))
                assert _result(json.loads(socket.recv(timeout=PATIENCE)))
            socket.send('{"inputs": 3}')
            assert json.loads(socket.recv(timeout=PATIENCE))["error"]["type"] == "/problems/invalid-request"
            with pytest.raises(ConnectionClosed) as closed:
                socket.recv(timeout=PATIENCE)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == CloseCode.POLICY_VIOLATION


def test_a_message_that_is_too_long_ends_the_socket(address: str) -> None:
    with connect(address.replace("http", "ws") + _PATH) as socket:
        socket.send("a" * 5000)
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=PATIENCE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


def test_there_are_no_sockets_elsewhere(address: str) -> None:
    for path, status in (("/v1/sentiment", 405), ("/v1/nothing/stream", 404)):
        with pytest.raises(InvalidStatus) as refused:
            connect(address.replace("http", "ws") + path)
        assert refused.value.response.status_code == status


def test_a_socket_that_hangs_up_frees_its_place(address: str) -> None:
    def opened() -> bool:
        with connect(address.replace("http", "ws") + _PATH) as socket:
            socket.send(json.dumps({"inputs": "A warm, "} | _MODEL))
            return "results" in json.loads(socket.recv(timeout=PATIENCE))

    assert all(opened() for _ in range(60))


def test_a_service_that_ends_says_so_on_its_streams(tmp_path: Path) -> None:
    (tmp_path / "service").mkdir()
    with serving_store(publish_states(tmp_path), tmp_path / "service", precision="float32") as address:
        stream = Stream(address)
        stream.send({"inputs": "A warm, "} | _MODEL)
        assert _result(stream.answer())
    answer = stream.answer()
    stream.close()
    assert answer is not None
    assert answer["error"]["type"] == "/problems/draining"


def test_each_piece_counts_towards_the_rate_under_a_path_prefix(tmp_path: Path) -> None:
    (tmp_path / "service").mkdir()
    settings: dict[str, Any] = {"limit_addresses": True, "rate_limit": "3/hour", "root_path": "/unroll"}
    with serving_store(publish_states(tmp_path), tmp_path / "service", precision="float32", **settings) as address:
        with connect(address.replace("http", "ws") + "/unroll" + _PATH) as socket:
            for _ in range(3):
                socket.send(json.dumps({"inputs": "A warm, "} | _MODEL))
                assert _result(json.loads(socket.recv(timeout=PATIENCE)))
            socket.send(json.dumps({"inputs": "A warm, "}))
            assert json.loads(socket.recv(timeout=PATIENCE))["error"]["type"] == "/problems/rate-limited"
        with pytest.raises(InvalidStatus) as refused:
            connect(address.replace("http", "ws") + "/unroll" + _PATH)
        assert refused.value.response.status_code == 429


def test_a_socket_of_another_site_is_refused(address: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connect(address.replace("http", "ws") + _PATH, origin=Origin("https://elsewhere.example"))
    assert refused.value.response.status_code == 403
