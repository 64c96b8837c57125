"""Requests that the service must refuse: malformed HTTP, bad input, bodies above the limit."""

import contextlib
from random import Random

from benchmarks.soak.asking import Run, Sender
from benchmarks.soak.questions import Question, get, post
from benchmarks.soak.readings import json_object
from benchmarks.soak.wire import Closed, request

_JSON = {"Content-Type": "application/json"}
_HEAD = b"POST /v1/sentiment HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
MALFORMED: dict[str, bytes] = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello\r\n\r\n",
    "random bytes": bytes(range(128, 256)) * 8 + b"\r\n\r\n",
    "no version": b"GET\r\n\r\n",
    "wrong version": b"GET /healthz HTTP/9.9.9\r\nHost: localhost\r\n\r\n",
    "header without a colon": b"GET /healthz HTTP/1.1\r\nHost localhost\r\n\r\n",
    "space in a header's name": b"GET /healthz HTTP/1.1\r\nHo st: localhost\r\n\r\n",
    "negative length": _HEAD + b"Content-Length: -5\r\n\r\nabcde",
    "length is a word": _HEAD + b"Content-Length: five\r\n\r\nabcde",
    "two lengths": _HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    "chunk of a bad size": _HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
    "unknown method": b"BREW /v1/sentiment HTTP/1.1\r\nHost: localhost\r\n\r\n",
}
LARGE: dict[str, bytes] = {
    "head of 200 KB": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: " + b"a" * 200_000 + b"\r\n\r\n",
    "5,000 headers": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 5000 + b"\r\n",
}
_LIMIT = 32 * 1024 * 1024  # of the setting max_body_bytes


async def malformed(run: Run) -> None:
    """Bytes that are not a request."""
    await _raw(run, "malformed HTTP", MALFORMED)


async def large_heads(run: Run) -> None:
    """Requests with more headers than any client needs."""
    await _raw(run, "large heads", LARGE)


async def _raw(run: Run, actor: str, contents: dict[str, bytes]) -> None:
    source, sender = run.random(actor), Sender(run, actor)
    while run.goes_on:
        name, content = source.choice(list(contents.items()))
        async with sender.entered(name) as entry:
            connection = await sender.fresh()
            with contextlib.suppress(Closed):  # the service may answer and close before the end
                await connection.send(content)
            answer = await connection.answer()
            sender.end(entry, run.judged(entry, get("", json_object), answer))
        sender.hang_up()
        await run.pause(0.3)


def bad_questions(source: Random) -> list[Question]:
    """Requests with one mistake each."""
    image = {"Content-Type": "image/jpeg"}
    wrong = [
        b"{",
        b"[]",
        b"null",
        b'{"inputs": 5}',
        b'{"inputs": ""}',
        b'{"inputs": "a film", "unknown": 1}',
        b'{"inputs": "\\ud800"}',
        b'{"inputs": "a film", "model": "nowhere"}',
        b'{"inputs": "\xff\xfe"}',
        b'{"inputs": ' + b"[" * 5000,
        b'{"inputs": "' + b"a " * 30_000 + b'"}',
        b'{"inputs": [' + b'"a",' * 300 + b'"a"]}',
        bytes(source.randrange(256) for _ in range(200)),
    ]
    found = [_question("/v1/sentiment", body, _JSON) for body in wrong]
    found += [
        _question("/v1/caption", bytes(source.randrange(256) for _ in range(500)), image),
        _question("/v1/caption", b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(3000), image),
        _question("/v1/caption", b"", image),
        _question("/v1/sentiment", b"a film", {"Content-Type": "text/plain"}),
        _question("/v1/sentiment/", b'{"inputs": "a film"}', _JSON),
        post("/v1/translate", {"inputs": "Open file", "beams": 4, "temperature": 0.5}, json_object),
        post("/v1/completions", {"model": "nowhere", "prompt": "a film"}, json_object),
        post("/v2/models/nowhere/infer", {"inputs": []}, json_object),
        post("/hf/translation/nowhere", {"inputs": "a"}, json_object),
        post("/v1/models/nowhere/load", {}, json_object),  # without a key
        Question(route="DELETE /v1/models", path="/v1/models", reading=json_object, method="DELETE", headers={}),
    ]
    return found


def _question(path: str, body: bytes, headers: dict[str, str]) -> Question:
    return Question(route=f"POST {path}", path=path, reading=json_object, body=body, headers=headers)


async def bad_input(run: Run) -> None:
    """Valid HTTP with a mistake in it."""
    source, sender = run.random("bad input"), Sender(run, "bad input")
    questions = bad_questions(source)
    while run.goes_on:
        await sender.ask(source.choice(questions))
        await run.pause(0.1)


async def oversize(run: Run) -> None:
    """Announce a body above the limit, and send none of it or a megabyte before reading the answer."""
    source, sender = run.random("oversize"), Sender(run, "oversize bodies")
    question = get("", json_object)
    while run.goes_on:
        head = request("POST", "/v1/sentiment", headers={**_JSON, "Content-Length": str(2 * _LIMIT)})
        async with sender.entered("POST /v1/sentiment, 64 MB") as entry:
            connection = await sender.fresh()
            await connection.send(head + b"a" * source.choice((0, 1_000_000)))
            sender.end(entry, run.judged(entry, question, await connection.answer()))
        sender.hang_up()
        await run.pause(1.0)
