"""Bad input: the right status, one shape of problem, and a service that keeps answering."""

import base64
import io
import itertools
import json
import socket
import struct
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from PIL import Image

JSON = {"Content-Type": "application/json"}
SENTIMENT, TRANSLATE, CAPTION = "/v1/sentiment", "/v1/translate", "/v1/caption"


def png(size: tuple[int, int] = (40, 30)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "orange").save(file, "PNG")
    return file.getvalue()


def animated(kind: str) -> bytes:
    file = io.BytesIO()
    first, second = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    first.save(file, kind, save_all=True, append_images=[second])
    return file.getvalue()


def truncated_jpeg() -> bytes:
    file = io.BytesIO()
    Image.effect_noise((200, 200), 90).convert("RGB").save(file, "JPEG")
    return file.getvalue()[: len(file.getvalue()) // 2]


def png_bomb(side: int = 10_000) -> bytes:
    """A valid grey image of `side` x `side` zeros in a few hundred kilobytes."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    packer = zlib.compressobj(9)
    row = bytes(1 + side)
    rows = b"".join([*(packer.compress(row) for _ in range(side)), packer.flush()])
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@dataclass(frozen=True)
class Bad:
    """A request, the status and kind of its problem, and the words of its detail that say what to do."""

    name: str
    status: int
    slug: str
    accepted: str
    path: str
    method: str = "POST"
    sent: dict[str, Any] = field(default_factory=dict)

    def send(self, http: httpx.Client) -> httpx.Response:
        return http.request(self.method, self.path, **self.sent)


def _texts(path: str) -> Iterator[Bad]:
    """Requests that both tasks on texts refuse."""

    def bad(name: str, status: int, slug: str, accepted: str, **sent: Any) -> Bad:
        return Bad(f"{path[4:]}: {name}", status, slug, accepted, path, sent=sent)

    def of(inputs: object, **others: object) -> dict[str, object]:
        return {"inputs": inputs, **others}

    one_or_more = "a string or a list of at least one string"
    yield bad("empty text", 422, "empty-input", "at least one character", json=of(""))
    yield bad("one empty text of two", 422, "empty-input", "inputs[1] is empty; send", json=of(["a", ""]))
    yield bad("only spaces", 422, "empty-input", "at least one character", json=of(" \t\n\u3000"))
    yield bad("1 MB of text", 422, "input-too-long", "the limit is 20000", json=of("word " * 200_000))
    yield bad("1 MB without a space", 422, "input-too-long", "the limit is 20000", json=of("a" * 1_000_000))
    yield bad("invalid UTF-8", 400, "unreadable-body", "UTF-8", content=b'{"inputs": "a\xff\xfe"}', headers=JSON)
    lone = b'{"inputs": "a\\ud800b"}'
    yield bad("a lone surrogate", 400, "unreadable-body", "UTF-8", content=lone, headers=JSON)
    name = b'{"inputs": "a", "\\udc00": 1}'
    yield bad("a lone surrogate as a member", 400, "unreadable-body", "UTF-8", content=name, headers=JSON)
    encoded = '{"inputs": "\ud800"}'.encode("utf-8", "surrogatepass")
    yield bad("an encoded surrogate", 400, "unreadable-body", "UTF-8", content=encoded, headers=JSON)
    for wrong in (5, None, True, {"text": "a"}):
        yield bad(f"inputs {wrong}", 422, "invalid-request", one_or_more, json=of(wrong))
    yield bad(
        "a number among texts", 422, "invalid-request", "inputs[1]: Input should be a valid string", json=of(["a", 1])
    )
    yield bad("a list in a list", 422, "invalid-request", "inputs[0]: Input should be a valid string", json=of([["a"]]))
    yield bad("empty list", 422, "invalid-request", one_or_more, json=of([]))
    yield bad("no inputs", 422, "invalid-request", "inputs: Field required", json={})
    yield bad("10,000 inputs", 422, "too-many-inputs", "the limit is 64", json=of(["a"] * 10_000))
    yield bad("unknown model", 404, "model-not-found", "; the models are ", json=of("a", model="nobody"))
    yield bad("model of another task", 404, "model-not-found", "; the models are ", json=of("a", model="caption-en"))
    for climbing in ("../sentiment-en", "..", "../../../../etc/passwd", "sentiment-en/../sentiment-en", "/etc", "a\0b"):
        yield bad(f"model {climbing!r}", 404, "model-not-found", "; the models are ", json=of("a", model=climbing))
    yield bad("model with a long name", 422, "invalid-request", "at most 128", json=of("a", model="x" * 129))
    mine = "sentiment-en" if path == SENTIMENT else "translate-en-ko"
    yield bad("unknown version", 404, "model-not-found", "it has 1", json=of("a", model=mine, version=7))
    for version in (0, -1):
        problem = "version: Input should be greater than or equal to 1"
        yield bad(f"version {version}", 422, "invalid-request", problem, json=of("a", model=mine, version=version))
    for other in ("1", True, 1.5, [1]):
        problem = "version: Input should be a valid integer"
        yield bad(f"version {other!r}", 422, "invalid-request", problem, json=of("a", model=mine, version=other))
    yield bad("version of no model", 422, "invalid-request", "name it in 'model'", json=of("a", version=1))
    yield bad(
        "unknown member", 422, "invalid-request", "the members are inputs, model, version", json=of("a", modle="x")
    )
    yield bad("malformed JSON", 400, "unreadable-body", "send a JSON object", content=b'{"inputs": "a"', headers=JSON)
    yield bad("empty body", 400, "unreadable-body", "send a JSON object", content=b"", headers=JSON)
    yield bad("deep JSON", 400, "unreadable-body", "send a JSON object", content=b"[" * 100_000, headers=JSON)
    long = b'{"inputs": "a", "version": ' + b"9" * 5000 + b"}"
    yield bad("a number of 5,000 digits", 400, "unreadable-body", "send a JSON object", content=long, headers=JSON)
    for value in (["a"], "a", 1, None):
        yield bad(f"JSON {value!r}", 422, "invalid-request", "be an object", content=json.dumps(value), headers=JSON)
    body = b'{"inputs": "a"}'
    yield bad("no content type", 415, "unsupported-media", "send application/json", content=body)
    plain = {"Content-Type": "text/plain"}
    yield bad("wrong content type", 415, "unsupported-media", "send application/json", content=body, headers=plain)
    yield bad("a form", 415, "unsupported-media", "send application/json", data={"inputs": "a"})


def _decoding() -> Iterator[Bad]:
    """`max_tokens` in JSON, and in the query string of a raw image."""
    integer, positive = (
        "max_tokens: Input should be a valid integer",
        "max_tokens: Input should be greater than or equal",
    )
    for value, slug, accepted in (
        ("NaN", "invalid-request", integer),
        ("Infinity", "invalid-request", integer),
        ("1.5", "invalid-request", integer),
        ('"5"', "invalid-request", integer),
        ("true", "invalid-request", integer),
        ("-1", "invalid-request", positive),
        ("0", "invalid-request", positive),
        ("5000", "input-too-long", "the limit of"),
        ("99999999999999999999", "invalid-request", "less than or equal to"),
    ):
        content = b'{"inputs": "YQ==", "max_tokens": ' + value.encode() + b"}"
        for path in (TRANSLATE, CAPTION):
            name = f"{path[4:]}: max_tokens {value}"
            yield Bad(name, 422, slug, accepted, path, sent={"content": content, "headers": JSON})
        sent = {"content": png(), "headers": {"Content-Type": "image/png"}, "params": {"max_tokens": value}}
        yield Bad(f"query: max_tokens {value}", 422, slug, accepted, CAPTION, sent=sent)
    for source in ("english", "EN", ""):
        wrong = {"json": {"inputs": "a", "source": source}}
        yield Bad(f"source {source!r}", 422, "invalid-request", "should match pattern", TRANSLATE, sent=wrong)
    unknown = {"json": {"inputs": "a", "source": "de", "target": "ko"}}
    yield Bad("source de", 422, "unknown-language", "translate-en-ko", TRANSLATE, sent=unknown)
    other = {"json": {"inputs": "a", "model": "translate-en-ko", "source": "de"}}
    yield Bad("source de of a named model", 422, "unknown-language", "from en to ko", TRANSLATE, sent=other)


def _scripts() -> Iterator[Bad]:
    for script, text in (
        ("hiragana", "とてもおもしろい"),
        ("cyrillic", "очень хороший фильм"),
        ("arabic", "فيلم رائع"),
    ):
        for inputs in (text, ["a good film", text]):
            sent = {"json": {"inputs": inputs}}
            name = f"{script} {'alone' if inputs == text else 'beside English'}"
            named = "'model': sentiment-en, sentiment-en-uni, sentiment-ko"
            yield Bad(name, 422, "unknown-language", named, SENTIMENT, sent=sent)


def _images() -> Iterator[Bad]:
    """Invalid image files, each in the three kinds of bodies."""
    files = (
        ("empty file", b"", 422, "empty-input", "send JPEG, PNG or WEBP"),
        ("text file", b"I am a picture, believe me.\n" * 40, 415, "unsupported-media", "send JPEG, PNG or WEBP"),
        ("SVG", b'<svg xmlns="http://www.w3.org/2000/svg"/>', 415, "unsupported-media", "send JPEG, PNG or WEBP"),
        ("truncated JPEG", truncated_jpeg(), 422, "invalid-image", "send it whole"),
        ("truncated PNG", png((300, 300))[:-40], 422, "invalid-image", "send it whole"),
        ("10,000 x 10,000 PNG", png_bomb(), 422, "input-too-long", "the limit is 50000000"),
        ("animated GIF", animated("GIF"), 415, "unsupported-media", "send JPEG, PNG or WEBP"),
        ("animated WebP", animated("WEBP"), 415, "unsupported-media", "send one still picture"),
        ("animated PNG", animated("PNG"), 415, "unsupported-media", "send one still picture"),
        ("2 MB of noise", bytes(2_000_001), 422, "input-too-long", "the limit is 2000000"),
    )
    for name, content, status, slug, accepted in files:
        ways: dict[str, dict[str, Any]] = {
            "raw": {"content": content, "headers": {"Content-Type": "image/jpeg"}},
            "form": {
                "files": [("images", ("a.png", png(), "image/png")), ("images", ("b.jpg", content, "image/jpeg"))]
            },
            "JSON": {"json": {"inputs": [base64.b64encode(png()).decode(), base64.b64encode(content).decode()]}},
        }
        for way, sent in ways.items():
            yield Bad(f"{name} by {way}", status, slug, accepted, CAPTION, sent=sent)


def _captions() -> Iterator[Bad]:
    def bad(name: str, status: int, slug: str, accepted: str, **sent: Any) -> Bad:
        return Bad(f"caption: {name}", status, slug, accepted, CAPTION, sent=sent)

    ok = ("images", ("a.png", png(), "image/png"))
    multipart = {"Content-Type": "multipart/form-data; boundary=here"}
    for inputs in ("!!!", "Y", "YQ==YQ==", "é", "data:image/png,abc!"):
        yield bad(f"base64 {inputs}", 422, "invalid-image", "send an image file in base64", json={"inputs": inputs})
    second = {"inputs": [base64.b64encode(png()).decode(), "!"]}
    yield bad("second base64", 422, "invalid-image", "inputs[1] is not base64", json=second)
    yield bad("empty list", 422, "invalid-request", "at least one string", json={"inputs": []})
    yield bad("inputs 5", 422, "invalid-request", "a string or a list", json={"inputs": 5})
    yield bad("10,000 inputs", 422, "too-many-inputs", "the limit is 64", json={"inputs": ["YQ=="] * 10_000})
    yield bad("invalid UTF-8", 400, "unreadable-body", "UTF-8", content=b'{"inputs": "\xff"}', headers=JSON)
    yield bad("lone surrogate", 400, "unreadable-body", "UTF-8", content=b'{"inputs": "\\ud800"}', headers=JSON)
    yield bad("malformed JSON", 400, "unreadable-body", "send a JSON object", content=b"{", headers=JSON)
    yield bad("not an object", 422, "invalid-request", "should be an object", content=b"[]", headers=JSON)
    yield bad("unknown member", 422, "invalid-request", "the members are inputs,", json={"inputs": "YQ==", "beam": 2})
    unknown = {"inputs": "YQ==", "model": "../caption-en"}
    yield bad("unknown model", 404, "model-not-found", "the models are caption-en", json=unknown)
    yield bad("no content type", 415, "unsupported-media", "multipart/form-data, application/json", content=png())
    gif = {"Content-Type": "image/gif"}
    yield bad("image/gif", 415, "unsupported-media", "image/jpeg, image/png, image/webp", content=png(), headers=gif)
    yield bad("form without files", 422, "empty-input", "send one or more", content=b"--here--\r\n", headers=multipart)
    yield bad("form with a text only", 422, "empty-input", "send one or more", files={"images": (None, "text")})
    yield bad(
        "form with another file",
        422,
        "empty-input",
        "no file in the field images; send",
        files={"image": ("a.png", png())},
    )
    yield bad("65 files", 422, "too-many-inputs", "the limit is 64", files=[ok] * 65)
    yield bad(
        "2,000 files",
        422,
        "too-many-inputs",
        "more than 1064 files; the limit is 64",
        files=[("images", ("a", b"a"))] * 2000,
    )
    yield bad("form with max_tokens x", 422, "invalid-request", "valid integer", files=[ok], data={"max_tokens": "x"})
    yield bad("form with max_tokens -1", 422, "invalid-request", "or equal to 1", files=[ok], data={"max_tokens": "-1"})
    yield bad(
        "form with an unknown field", 422, "invalid-request", "the members are model,", files=[ok], data={"beam": "2"}
    )
    without = {"Content-Type": "multipart/form-data"}
    yield bad("form without boundary", 400, "unreadable-body", "/docs", content=b"--here--\r\n", headers=without)
    other = b'--there\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\na\r\n--there--\r\n'
    yield bad("form with another boundary", 400, "unreadable-body", "/docs", content=other, headers=multipart)
    yield bad("form of garbage", 400, "unreadable-body", "/docs", content=b"\0\1\2" * 50, headers=multipart)
    nameless = b"--here\r\nContent-Type: image/png\r\n\r\na\r\n--here--\r\n"
    yield bad("form with a nameless part", 400, "unreadable-body", "/docs", content=nameless, headers=multipart)


def _elsewhere() -> Iterator[Bad]:
    for path in ("/nope", "/v2/sentiment", "/../../etc/passwd", "/assets/web/%2e%2e/%2e%2e/main.py", "/%ff%fe"):
        yield Bad(f"GET {path}", 404, "not-found", "/docs", path, "GET")
    for method, path in (("GET", "/docs/"), ("GET", "/v1/models/"), ("POST", f"{SENTIMENT}/")):  # no redirect
        yield Bad(f"{method} {path}", 404, "not-found", "none of which ends with a slash", path, method)
    yield Bad("GET sentiment", 405, "method-not-allowed", "use POST", SENTIMENT, "GET")
    yield Bad("DELETE models", 405, "method-not-allowed", "use GET", "/v1/models", "DELETE")
    yield Bad("POST healthz", 405, "method-not-allowed", "use GET", "/healthz")
    for path in (SENTIMENT, TRANSLATE, CAPTION, "/nope"):
        sent = {"content": bytes(3_000_001), "headers": JSON}
        yield Bad(f"3 MB and a byte to {path}", 413, "body-too-large", "3000000 bytes", path, sent=sent)
    for path, kind in ((SENTIMENT, "application/json"), (CAPTION, "application/json"), (CAPTION, "image/png")):
        chunked = {"content": _Chunks(60), "headers": {"Content-Type": kind}}
        yield Bad(f"chunked to {path} as {kind}", 413, "body-too-large", "3000000 bytes", path, sent=chunked)


class _Chunks:
    """A body of `pieces` times 64 KiB without a length, which can be sent more than once."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __iter__(self) -> Iterator[bytes]:
        return itertools.repeat(bytes(65536), self._count)


BAD = [*_texts(SENTIMENT), *_texts(TRANSLATE), *_decoding(), *_scripts(), *_images(), *_captions(), *_elsewhere()]


def assert_is_problem(answer: httpx.Response, bad: Bad) -> None:
    assert answer.status_code == bad.status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert {"type", "title", "status", "detail"} <= body.keys()
    assert body["type"] == f"/problems/{bad.slug}"
    assert body["status"] == bad.status
    assert body["title"]
    assert bad.accepted in body["detail"]
    for leak in ("Traceback", "<class", "app.", ".py", "/work", "/tmp", "site-packages", "object at 0x"):
        if leak not in bad.path:
            assert leak not in answer.text


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_is_refused_as_a_problem(http: httpx.Client, bad: Bad) -> None:
    assert_is_problem(bad.send(http), bad)


def test_neighbours_of_bad_requests_are_unharmed(http: httpx.Client, server: str) -> None:
    """Good requests get the same results alone, during all bad requests, and afterwards."""
    good: list[tuple[str, dict[str, Any]]] = [
        (SENTIMENT, {"json": {"inputs": ["a warm and funny film", "정말 재미있게 봤어요"]}}),
        (TRANSLATE, {"json": {"inputs": "do you want to save the file", "max_tokens": 20}}),
        (CAPTION, {"content": png(), "headers": {"Content-Type": "image/png"}}),
    ]
    alone = [http.post(path, **sent).json() for path, sent in good]
    finished = threading.Event()
    rounds: list[int] = []
    wrong: list[str] = []

    def keep_asking(number: int) -> None:
        path, sent = good[number]
        count = 0
        with httpx.Client(base_url=server) as client:
            while not finished.is_set() or count == 0:
                answer = client.post(path, **sent)
                count += 1
                if answer.status_code != 200 or not _alike(answer.json(), alone[number]):
                    wrong.append(answer.text)
        rounds.append(count)

    neighbours = [threading.Thread(target=keep_asking, args=(number,)) for number in range(len(good))]
    for neighbour in neighbours:
        neighbour.start()
    try:
        wrong += [bad.name for bad in BAD if bad.send(http).status_code != bad.status]
    finally:
        finished.set()
        for neighbour in neighbours:
            neighbour.join()
    assert not wrong
    assert len(rounds) == len(good)
    assert [_alike(http.post(path, **sent).json(), want) for (path, sent), want in zip(good, alone, strict=True)] == [
        True
    ] * len(good)
    assert http.get("/readyz").status_code == 200


def _alike(one: Any, other: Any) -> bool:
    """Equal, except for the last digits of numbers, which batching may change."""
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) < 1e-4
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_alike, one, other))
    return bool(one == other)


@pytest.mark.parametrize("head", ["Transfer-Encoding: chunked", "Content-Length: 4000000000"])
@pytest.mark.parametrize("path", [SENTIMENT, CAPTION])
def test_endless_body_is_refused_while_it_is_sent(server: str, path: str, head: str) -> None:
    """The sender never ends by itself: only a response during the body ends this test."""
    address = urlsplit(server)
    answered = threading.Event()
    with socket.create_connection((address.hostname, address.port), timeout=100) as connection:

        def send_for_ever() -> None:
            piece = bytes(65536)
            framed = b"%x\r\n%s\r\n" % (len(piece), piece) if "chunked" in head else piece
            try:
                while not answered.is_set():
                    connection.sendall(framed)
            except OSError:
                pass  # the server may close the connection after its response

        connection.sendall(
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{head}\r\n\r\n".encode()
        )
        sender = threading.Thread(target=send_for_ever)
        sender.start()
        try:
            file = connection.makefile("rb")
            status = file.readline()
            headers = dict(line.rstrip().lower().split(b": ", 1) for line in iter(file.readline, b"\r\n"))
            body = json.loads(file.read(int(headers[b"content-length"])))
        finally:
            answered.set()
            sender.join()
    assert status.startswith(b"HTTP/1.1 413 ")
    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"connection"] == b"close"
    assert body["type"] == "/problems/body-too-large"
    assert body["limit"] == 3_000_000


def test_client_that_sends_all_before_it_listens_gets_the_answer(server: str) -> None:
    """Like http.client and browsers. The body exceeds the buffers of the sockets, so the server must keep reading."""
    address = urlsplit(server)
    with socket.create_connection((address.hostname, address.port), timeout=100) as connection:
        body = bytes(30_000_000)
        connection.sendall(
            f"POST {CAPTION} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
        )
        connection.sendall(body)
        assert connection.makefile("rb").readline().startswith(b"HTTP/1.1 413 ")


def test_body_at_the_limit_is_taken(http: httpx.Client) -> None:
    body = json.dumps({"inputs": "a good film"}).encode()
    assert http.post(SENTIMENT, content=body.ljust(3_000_000), headers=JSON).status_code == 200
    assert http.post(SENTIMENT, content=body.ljust(3_000_001), headers=JSON).status_code == 413


def test_wrong_method_names_the_right_ones_in_a_header(http: httpx.Client) -> None:
    assert http.get(SENTIMENT).headers["allow"] == "POST"
    assert http.post("/v1/models").headers["allow"] == "GET, HEAD"


def test_every_mistake_has_its_place_and_a_list_one(http: httpx.Client) -> None:
    body = {"inputs": ["a", 1, "b", None], "version": "x", "colour": "red"}
    errors = http.post(SENTIMENT, json=body).json()["errors"]
    assert sorted(error["where"] for error in errors) == ["colour", "inputs[1]", "version"]


def test_place_of_the_input_is_a_member(http: httpx.Client) -> None:
    assert http.post(SENTIMENT, json={"inputs": ["a", "b", " "]}).json()["input"] == 2
    files = [("images", ("a.png", png(), "image/png")), ("images", ("b.txt", b"text", "image/png"))]
    assert http.post(CAPTION, files=files).json()["input"] == 1
