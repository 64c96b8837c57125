"""Mistakes of clients of the Open Inference Protocol: problems, with the protocol's member `error`."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

from app.main import create_app
from app.settings import Settings
from tests.conftest import serving

INFER = "/v2/models/sentiment-en/infer"
HEADER = "Inference-Header-Content-Length"
TEXT: dict[str, Any] = {"name": "text_input", "shape": [1], "datatype": "BYTES", "data": ["a film"]}
PIXELS: dict[str, Any] = {"name": "pixels", "shape": [1, 1, 2, 3], "datatype": "UINT8", "data": [1, 2, 3, 4, 5, 6]}


def check(answer: httpx.Response, status: int, slug: str, words: str) -> None:
    """The response is a problem with the member `error`."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["content-length"]) == len(answer.content)
    problem = answer.json()
    assert problem["type"] == f"/problems/{slug}"
    assert problem["status"] == status
    assert problem["error"] == problem["detail"]
    assert words in problem["error"], problem["error"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "text"}, "inputs[0] is 'text'; sentiment-en takes text_input"),
        ({"datatype": "FP32", "data": [1.5]}, "text_input has the datatype FP32; send BYTES"),
        ({"shape": [2]}, "text_input has 1 elements, but shape [2] needs 2"),
        ({"shape": [1, 2]}, "text_input has the shape [1, 2]; send [inputs]"),
        ({"shape": [0], "data": []}, "no dimension of 0"),
        ({"shape": []}, "inputs[0].shape: List should have at least 1 item"),
        ({"shape": [-1]}, "inputs[0].shape[0]: Input should be greater than or equal to 0"),
        ({"shape": [1.5]}, "inputs[0].shape[0]"),
        ({"data": [7]}, "element 0 of text_input is not a string"),
        ({"data": None}, "needs either 'data' or the parameter binary_data_size"),
        ({"parameters": {"binary_data_size": 5}}, "needs either 'data' or the parameter binary_data_size"),
        ({"parameters": {"shared_memory_region": "r"}}, "shared_memory_region: is not supported: send the data with"),
        ({"parameters": {"content_type": "str"}}, "inputs[0].parameters.content_type: is unknown here"),
        ({"more": 1}, "inputs[0].more: is unknown here"),
    ],
)  # fmt: skip
def test_malformed_inputs_are_refused(http: httpx.Client, change: dict[str, Any], words: str) -> None:
    check(http.post(INFER, json={"inputs": [TEXT | change]}), 422, "invalid-request", words)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"shape": [1, 2, 3]}, "pixels has the shape [1, 2, 3]; send [inputs, height, width, 3]"),
        ({"shape": [1, 1, 6, 1]}, "send [inputs, height, width, 3]"),
        ({"shape": [1, 0, 2, 3], "data": []}, "no dimension of 0"),
        ({"shape": [1, 2, 2, 3]}, "pixels has 6 elements, but shape [1, 2, 2, 3] needs 12"),
        ({"data": [1, 2, 3, 4, 5, 256]}, "not a whole number from 0 to 255"),
        ({"data": [1, 2, 3, 4, 5, -1]}, "not a whole number from 0 to 255"),
        ({"data": [1, 2, 3, 4, 5, 0.5]}, "not a whole number from 0 to 255"),
        ({"data": [1, 2, 3, 4, 5, True]}, "not a whole number from 0 to 255"),
        ({"data": [[1, 2, 3], 4, 5, 6]}, "element 0 of pixels: [1, 2, 3] is not a whole number"),
        ({"datatype": "FP32"}, "pixels has the datatype FP32; send UINT8"),
    ],
)  # fmt: skip
def test_malformed_pixels_are_refused(http: httpx.Client, change: dict[str, Any], words: str) -> None:
    check(http.post("/v2/models/caption-en/infer", json={"inputs": [PIXELS | change]}), 422, "invalid-request", words)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"inputs": []}, "inputs: List should have at least 1 item"),
        ({"inputs": [TEXT, TEXT]}, "the request has 2 input tensors; sentiment-en takes one, text_input"),
        ({"outputs": [{"name": "text"}]}, "outputs[0] is 'text'; sentiment-en has label, score, polarity, scores"),
        ({"outputs": [{"name": "label"}, {"name": "label"}]}, "outputs[1] repeats label"),
        ({"outputs": [{"name": "label", "parameters": {"classification": 1}}]}, "only scores has one"),
        ({"outputs": [{"name": "scores", "parameters": {"classification": 0}}]}, "greater than or equal to 1"),
        ({"outputs": [{"name": "label", "parameters": {"shared_memory_region": "r"}}]}, "is not supported: read it"),
        ({"model_name": "lm-en"}, "model_name is 'lm-en', but the path names sentiment-en"),
        ({"parameters": {"beams": 4}}, "parameters.beams: is unknown here; the members are priority, timeout"),
        ({"parameters": {"sequence_id": 7}}, "parameters.sequence_id: is not supported"),
        ({"parameters": {"timeout": 5, "timeout_ms": 5}}, "timeout and timeout_ms are both set"),
        ({"parameters": {"timeout": "soon"}}, "parameters.timeout: Input should be a valid integer"),
        ({"more": 1}, "more: is unknown here; the members are id, model_name"),
    ],
)  # fmt: skip
def test_malformed_requests_are_refused(http: httpx.Client, change: dict[str, Any], words: str) -> None:
    check(http.post(INFER, json={"inputs": [TEXT]} | change), 422, "invalid-request", words)


@pytest.mark.parametrize(
    ("parameters", "slug", "words"),
    [
        ({"beam": 4}, "invalid-request", "parameters.beam: is unknown here; the members are priority"),
        ({"n_best": 2, "beams": 2}, "invalid-request", "n_best is not supported here"),
        ({"logprobs": 1}, "invalid-request", "logprobs is not supported here"),
        ({"attention": True}, "invalid-request", "attention is not supported here"),
        ({"stream": True}, "invalid-request", "use generate_stream"),
        ({"temperature": 1.0, "beams": 2}, "contradictory-options", "set beams to 1 to draw"),
        ({"seed": 2}, "contradictory-options", "nothing is drawn at temperature 0"),
    ],
)  # fmt: skip
def test_decoding_options_are_checked(http: httpx.Client, parameters: dict[str, Any], slug: str, words: str) -> None:
    body = {"inputs": [TEXT], "parameters": parameters}
    check(http.post("/v2/models/translate-en-ko/infer", json=body), 422, slug, words)


def element(content: bytes, length: int | None = None) -> bytes:
    return struct.pack("<I", len(content) if length is None else length) + content


@pytest.mark.parametrize(
    ("tail", "shape", "words"),
    [
        (element(b"a film"), [2], "text_input ends before element 1 of 2"),
        (element(b"a film", 7), [1], "element 0 of text_input should have 7 bytes, but 6 are left"),
        (element(b"a film", 2**32 - 1), [1], "should have 4294967295 bytes"),
        (b"\x01\x00", [1], "text_input ends before element 0 of 1"),
        (element(b"a film") + b"!", [1], "text_input has 1 bytes after its 1 elements"),
        (element(b"\xff\xfe"), [1], "text_input holds bytes that are not UTF-8"),
        (element(b"\xed\xa0\x80"), [1], "text_input holds bytes that are not UTF-8"),
    ],
)  # fmt: skip
def test_malformed_binary_data_are_refused(http: httpx.Client, tail: bytes, shape: list[int], words: str) -> None:
    tensor = {"name": "text_input", "shape": shape, "datatype": "BYTES", "parameters": {"binary_data_size": len(tail)}}
    head = json.dumps({"inputs": [tensor]}).encode()
    answer = http.post(INFER, content=head + tail, headers={HEADER: str(len(head))})
    check(answer, 422, "invalid-request", words)


def test_sizes_of_binary_data_have_to_be_those_that_come(http: httpx.Client) -> None:
    for size, tail in ((9, element(b"a film")), (10, element(b"a film") + b"!"), (10, b"")):
        tensor = TEXT | {"data": None, "parameters": {"binary_data_size": size}}
        head = json.dumps({"inputs": [tensor]}).encode()
        answer = http.post(INFER, content=head + tail, headers={HEADER: str(len(head))})
        check(answer, 422, "invalid-request", f"{len(tail)} bytes follow the JSON, but binary_data_size is {size}")
    head = json.dumps({"inputs": [TEXT]}).encode()
    answer = http.post(INFER, content=head + b"more", headers={HEADER: str(len(head))})
    check(answer, 422, "invalid-request", "4 bytes follow the JSON, but binary_data_size is 0")
    tensor = PIXELS | {"data": None, "parameters": {"binary_data_size": 5}}
    head = json.dumps({"inputs": [tensor]}).encode()
    answer = http.post("/v2/models/caption-en/infer", content=head + b"12345", headers={HEADER: str(len(head))})
    check(answer, 422, "invalid-request", "pixels has 5 elements, but shape [1, 1, 2, 3] needs 6")


@pytest.mark.parametrize("header", ["x", "-1", "1.5", "", "9" * 30, "+5"])
def test_malformed_header_is_refused(http: httpx.Client, header: str) -> None:
    answer = http.post(INFER, json={"inputs": [TEXT]}, headers={HEADER: header})
    check(answer, 422, "invalid-request", f"{HEADER} is {header[:40]!r}; send the number of bytes")


def test_header_beyond_the_body_or_within_the_json_is_refused(http: httpx.Client) -> None:
    content = json.dumps({"inputs": [TEXT]})
    answer = http.post(INFER, content=content, headers={HEADER: "5000"})
    check(answer, 422, "invalid-request", f"is 5000, but the whole body has {len(content)} bytes")
    for length in ("0", "7"):
        check(http.post(INFER, content=content, headers={HEADER: length}), 400, "unreadable-body", "Invalid JSON")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"inputs": [{"name": "\\ud800"}]}', b"[" * 100_000])
def test_what_is_not_json_is_refused(http: httpx.Client, content: bytes) -> None:
    for path in (INFER, "/v2/models/lm-en/generate"):
        check(http.post(path, content=content), 400, "unreadable-body", "Invalid JSON")


@pytest.mark.parametrize(
    ("path", "status", "slug", "words"),
    [
        ("/v2/models/nobody", 404, "model-not-found", "there is no model nobody; the models are caption-en"),
        ("/v2/models/nobody/ready", 404, "model-not-found", "there is no model nobody"),
        ("/v2/models/nobody/config", 404, "model-not-found", "there is no model nobody"),
        ("/v2/models/nobody/stats", 404, "model-not-found", "there is no model nobody"),
        ("/v2/models/sentiment-en/versions/9", 404, "model-not-found", "has no version 9; it has 1"),
        ("/v2/models/sentiment-en/versions/x/ready", 404, "model-not-found", "versions are numbers from 1"),
        ("/v2/models/sentiment-en/versions/²", 404, "model-not-found", "versions are numbers from 1"),
        ("/v2/", 404, "not-found", "/v2/ does not exist; /docs lists the paths, none of which ends with a slash"),
        ("/v2/systemsharedmemory/status", 404, "not-found", "the path /v2/systemsharedmemory/status does not exist"),
        (INFER, 405, "method-not-allowed", "use POST"),
    ],
)  # fmt: skip
def test_paths_that_lead_nowhere(http: httpx.Client, path: str, status: int, slug: str, words: str) -> None:
    check(http.get(path), status, slug, words)


def test_models_and_versions_that_are_not_there_are_told(http: httpx.Client) -> None:
    for path in ("nobody/infer", "sentiment-en/versions/2/infer", "sentiment-en/versions/0/infer"):
        check(http.post(f"/v2/models/{path}", json={"inputs": [TEXT]}), 404, "model-not-found", "no ")


def test_tasks_refuse_what_they_refuse_anywhere(http: httpx.Client) -> None:
    check(http.post(INFER, json={"inputs": [TEXT | {"data": [" "]}]}), 422, "empty-input", "inputs[0] is empty")
    many = TEXT | {"shape": [65], "data": ["a film"] * 65}
    check(http.post(INFER, json={"inputs": [many]}), 422, "too-many-inputs", "65 inputs; the limit is 64")
    huge = {"inputs": [{**TEXT, "shape": [2**31 - 1]}]}
    check(http.post(INFER, json=huge), 422, "too-many-inputs", "the limit is 64")
    image = {"name": "image", "shape": [1], "datatype": "BYTES", "data": ["!"]}
    captions = "/v2/models/caption-en/infer"
    check(http.post(captions, json={"inputs": [image]}), 422, "invalid-image", "inputs[0] is not base64")
    check(http.post(captions, json={"inputs": [image | {"data": ["aGV5"]}]}), 415, "unsupported-media", "images[0]")
    content = json.dumps({"inputs": [TEXT]}).encode() + b" " * 3_000_000
    check(http.post(INFER, content=content), 413, "body-too-large", "3000000 bytes")
    late = http.post(INFER, json={"inputs": [TEXT]}, headers={"X-Timeout-Ms": "never"})
    check(late, 422, "invalid-request", "X-Timeout-Ms: Input should be a whole number of milliseconds")


def test_triton_reads_the_error(server: str) -> None:
    with InferenceServerClient(server.removeprefix("http://")) as triton:
        tensor = InferInput("text_input", [1], "BYTES")
        tensor.set_data_from_numpy(np.array([b"a film"], dtype=np.object_))
        with pytest.raises(InferenceServerException, match="outputs\\[0\\] is 'text'; sentiment-en has label") as error:
            triton.infer("sentiment-en", [tensor], outputs=[InferRequestedOutput("text")])
        assert error.value.status() == "422"
        for ask in (triton.get_model_metadata, triton.get_model_config, triton.get_inference_statistics):
            with pytest.raises(InferenceServerException, match="there is no model nobody") as error:
                ask("nobody")
            assert error.value.status() == "404"
        with pytest.raises(InferenceServerException, match="the path /v2/trace/setting does not exist"):
            triton.get_trace_settings()


@pytest.fixture(scope="module")
def without_engine(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server whose engine never starts."""
    endpoint = f"ipc://{tmp_path_factory.mktemp('nobody')}/socket"
    with serving(create_app(Settings(store=tiny_store), engines=[endpoint])) as address:
        yield address


def test_a_service_without_an_engine_is_live_and_not_ready(without_engine: str) -> None:
    with httpx.Client(base_url=without_engine) as http:
        assert http.get("/v2/health/live").json() == {"live": True}
        check(http.get("/v2/health/ready"), 503, "not-ready", "not every engine has loaded")
        check(http.get("/v2/models/sentiment-en/ready"), 503, "not-ready", "no engine serves sentiment-en/1")
        refused = http.post(INFER, json={"inputs": [TEXT]})
        check(refused, 503, "not-ready", "no engine is ready yet")
        assert refused.headers["retry-after"] == "2"
    with InferenceServerClient(without_engine.removeprefix("http://")) as triton:
        assert triton.is_server_live()
        assert not triton.is_server_ready()
        assert not triton.is_model_ready("sentiment-en")
