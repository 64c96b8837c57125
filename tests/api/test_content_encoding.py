"""Compressed bodies: unpacked alike on every interface, bounded, and refused by name otherwise."""

import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from tritonclient.http import InferenceServerClient, InferInput

from tests.api.operations import ADMIN_KEY

JSON = {"Content-Type": "application/json"}
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
}
TENSOR = {"name": "text_input", "shape": [1], "datatype": "BYTES", "data": ["a film"]}
BODIES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/v1/sentiment", {"inputs": "a film"}),
    ("/v1/completions", {"model": "lm-en", "prompt": "a film", "temperature": 0}),
    ("/hf/text-classification/sentiment-en", {"inputs": "a film"}),
    ("/hf/text-generation/lm-en", {"inputs": "a film"}),
    ("/v2/models/sentiment-en/infer", {"inputs": [TENSOR]}),
    ("/v2/models/lm-en/generate", {"text_input": "a film"}),
    ("/v2/repository/index", {"ready": True}),
)
each_body = pytest.mark.parametrize(("path", "body"), BODIES, ids=[path for path, _ in BODIES])


def png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (300, 200), "orange").save(file, "PNG")
    return file.getvalue()


def packed(http: httpx.Client, path: str, content: bytes, coding: str = "gzip", **headers: str) -> httpx.Response:
    return http.post(path, content=PACKERS[coding](content), headers={**JSON, "Content-Encoding": coding, **headers})


def stable(answer: httpx.Response) -> object:
    assert answer.status_code == 200, answer.text
    content = answer.json()
    return {name: content[name] for name in content if name not in ("id", "created")} if "id" in content else content


def labels(answer: httpx.Response) -> list[tuple[str, float]]:
    """The label of each text, and its probability without what depends on the other texts of a batch."""
    return [(result["label"], round(result["score"], 4)) for result in answer.json()["results"]]


@each_body
@pytest.mark.parametrize("coding", PACKERS)
def test_answers_are_those_of_the_plain_body(http: httpx.Client, path: str, body: dict[str, Any], coding: str) -> None:
    assert stable(packed(http, path, json.dumps(body).encode(), coding)) == stable(http.post(path, json=body))


def test_images_in_each_kind_of_body(http: httpx.Client) -> None:
    expected = http.post("/v1/caption", content=png(), headers={"Content-Type": "image/png"}).json()
    assert packed(http, "/v1/caption", png(), **{"Content-Type": "image/png"}).json() == expected
    form = http.build_request("POST", "/v1/caption", files=[("images", ("a.png", png()))], data={"priority": "1"})
    kind = form.headers["content-type"]
    assert packed(http, "/v1/caption", form.read(), **{"Content-Type": kind}).json() == expected
    plain = http.post("/hf/image-to-text/caption-en", content=png())
    raw = packed(http, "/hf/image-to-text/caption-en", png(), **{"Content-Type": "application/octet-stream"})
    assert raw.json() == plain.json()


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize("binary", [True, False])
def test_tensors_of_tritons_client(server: str, coding: str, binary: bool) -> None:
    tensor = InferInput("text_input", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([b"a film"], dtype=np.object_), binary_data=binary)
    with InferenceServerClient(server.removeprefix("http://")) as triton:
        plain, compressed = (
            triton.infer("sentiment-en", [tensor], request_compression_algorithm=algorithm)
            for algorithm in (None, coding)
        )
    assert (compressed.as_numpy("scores") == plain.as_numpy("scores")).all()


def test_the_bodies_of_administration(administered: str) -> None:
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    with httpx.Client(base_url=administered, timeout=60, headers=headers) as http:
        answer = packed(http, "/v1/models/sentiment-en/load", b'{"version": 1}')
        assert answer.status_code == 200, answer.text
        assert packed(http, "/v2/repository/models/sentiment-en/load", b"{}").status_code == 200


def in_pieces(content: bytes, size: int) -> Iterator[bytes]:
    for place in range(0, len(content), size):
        yield content[place : place + size]


def test_pieces_members_and_large_bodies(http: httpx.Client) -> None:
    texts = [f"film {number} " + "a film " * 40 for number in range(60)]
    content = json.dumps({"inputs": texts}).encode() + b" " * 2_000_000  # unpacked in threads
    expected = labels(http.post("/v1/sentiment", json={"inputs": texts}))
    halves = gzip.compress(content[:5000]) + gzip.compress(b"") + gzip.compress(content[5000:])
    for body in (gzip.compress(content), gzip.compress(content, 0), halves):
        headers = {**JSON, "Content-Encoding": "GZip, identity"}
        assert labels(http.post("/v1/sentiment", content=body, headers=headers)) == expected
        for size in (1, 700, 70_000):
            pieces = in_pieces(body if size > 1 else gzip.compress(content.rstrip()), size)
            assert labels(http.post("/v1/sentiment", content=pieces, headers=headers)) == expected


def test_members_are_counted(http: httpx.Client) -> None:
    headers = {**JSON, "Content-Encoding": "gzip"}
    content = gzip.compress(b'{"inputs": "a film"}')
    empty = gzip.compress(b"")
    assert http.post("/v1/sentiment", content=empty * 63 + content, headers=headers).status_code == 200
    for body in (empty * 64 + content, empty * 120_000, gzip.compress(b" ") * 120_000):  # up to 2.5 MB
        answer = http.post("/v1/sentiment", content=body, headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (400, "/problems/unreadable-body")
        assert answer.json()["detail"] == "the body has more than 64 members of gzip; compress it as one member"


def test_an_empty_body_is_empty(http: httpx.Client) -> None:
    for content in (b"", gzip.compress(b"")):
        assert http.post("/v2/repository/index", content=content, headers={"Content-Encoding": "gzip"}).is_success


@each_body
def test_damaged_bodies(http: httpx.Client, path: str, body: dict[str, Any]) -> None:
    whole = gzip.compress(json.dumps(body).encode())
    wrong = bytearray(whole)
    wrong[-6] ^= 1  # of the checksum
    for content in (whole[:-1], whole[:5], whole + b"rest", bytes(wrong), json.dumps(body).encode(), b"\x1f\x8b"):
        answer = http.post(path, content=content, headers={**JSON, "Content-Encoding": "gzip"})
        problem = answer.json()
        assert (answer.status_code, problem["type"]) == (400, "/problems/unreadable-body"), (content, problem)
        assert "the body is not gzip as its content encoding says" in problem["detail"]


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """300 MB, compressed."""
    return gzip.compress(bytes(300_000_000), 9)


@each_body
def test_a_bomb_is_refused(http: httpx.Client, bomb: bytes, path: str, body: dict[str, Any]) -> None:
    answer = http.post(path, content=bomb, headers={**JSON, "Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json()["type"], answer.json()["limit"]) == (
        413,
        "/problems/body-too-large",
        3_000_000,
    )
    assert http.post(path, json=body).status_code == 200


def test_the_limit_is_that_of_plain_bodies(http: httpx.Client) -> None:
    for size, status in ((3_000_000, 200), (3_000_001, 413)):
        content = b'{"inputs": "a"}'.ljust(size)
        assert http.post("/v1/sentiment", content=content, headers=JSON).status_code == status
        assert packed(http, "/v1/sentiment", content).status_code == status


@each_body
@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "gzip, br", "x"])
def test_other_encodings_are_refused(http: httpx.Client, path: str, body: dict[str, Any], coding: str) -> None:
    answer = http.post(path, json=body, headers={"Content-Encoding": coding})
    assert (answer.status_code, answer.json()["type"]) == (415, "/problems/unsupported-media")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["accept-encoding"] == "gzip, deflate"
    words = f"the content encoding is {coding}; send the body with gzip or deflate, or uncompressed"
    assert answer.json()["detail"] == words
    if path.startswith(("/hf", "/v2")):
        assert answer.json()["error"] == words


def test_no_encoding(http: httpx.Client) -> None:
    assert http.post("/v1/sentiment", json={"inputs": "a"}, headers={"Content-Encoding": "identity"}).is_success
