"""KServe's own client gets the results of the native interface. It needs some twenty packages, so its tests run in an
environment of their own: `make test-kserve`."""

import asyncio
import base64
import io
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx
import numpy as np
import pytest
from PIL import Image

kserve = pytest.importorskip(
    "kserve", reason="KServe's client is NOT tested in this environment; `make test-kserve` does it"
)

TEXTS = ["a warm and funny film", "the plot makes no sense"]
Answer = TypeVar("Answer")


def ask(call: "Callable[[Any], Awaitable[Answer]]") -> Answer:
    """The response to the client."""

    async def asked() -> Answer:
        async with kserve.InferenceRESTClient(kserve.inference_client.RESTConfig(protocol="v2", timeout=30)) as client:
            return await call(client)

    return asyncio.run(asked())


def text_input(texts: list[str], *, is_binary: bool) -> Any:
    tensor = kserve.InferInput("text_input", [len(texts)], "BYTES")
    tensor.set_data_from_numpy(np.array([text.encode() for text in texts], dtype=np.object_), binary_data=is_binary)
    return tensor


def infer(server: str, model: str, tensor: Any, **options: Any) -> Any:
    request = kserve.InferRequest(model_name=model, infer_inputs=[tensor], **options)
    return ask(lambda client: client.infer(server, request, model_name=model))


def values(response: Any, name: str) -> list[Any]:
    (output,) = [output for output in response.outputs if output.name == name]
    told = output.as_numpy().flatten().tolist()
    return [item.decode() if isinstance(item, bytes) else item for item in told]


@pytest.mark.parametrize("is_binary", [True, False], ids=["binary", "json"])
@pytest.mark.parametrize("tells_binary", [True, False], ids=["to binary", "to json"])
def test_labels_are_the_native_ones(server: str, http: httpx.Client, is_binary: bool, tells_binary: bool) -> None:
    expected = http.post("/v1/sentiment", json={"inputs": TEXTS, "model": "sentiment-en"}).json()["results"]
    sent = text_input(TEXTS, is_binary=is_binary)
    parameters = {"binary_data_output": tells_binary}
    response = infer(server, "sentiment-en", sent, request_id="9", parameters=parameters)
    assert (response.id, response.model_name) == ("9", "sentiment-en")
    assert values(response, "label") == [item["label"] for item in expected]
    scores = [value for item in expected for value in item["scores"].values()]
    assert values(response, "scores") == pytest.approx(scores, abs=1e-6)


@pytest.mark.parametrize("is_binary", [True, False], ids=["binary", "json"])
def test_pixels_are_captioned(server: str, http: httpx.Client, is_binary: bool) -> None:
    pixels = (np.arange(2 * 30 * 40 * 3) * 7919 % 256).astype(np.uint8).reshape(2, 30, 40, 3)
    files = []
    for image in pixels:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "PNG")
        files.append(base64.b64encode(file.getvalue()).decode())
    expected = http.post("/v1/caption", json={"inputs": files}).json()["results"]
    tensor = kserve.InferInput("pixels", list(pixels.shape), "UINT8")
    tensor.set_data_from_numpy(pixels, binary_data=is_binary)
    response = infer(server, "caption-en", tensor)
    assert values(response, "text") == [item["text"] for item in expected]


def test_decoding_options_and_requested_outputs(server: str, http: httpx.Client) -> None:
    expected = http.post("/v1/translate", json={"inputs": TEXTS, "beams": 3, "max_tokens": 8}).json()["results"]
    asked = [kserve.protocol.infer_type.RequestedOutput("text")]
    options = {"parameters": {"beams": 3, "max_tokens": 8}, "request_outputs": asked}
    response = infer(server, "translate-en-ko", text_input(TEXTS, is_binary=True), **options)
    assert [output.name for output in response.outputs] == ["text"]
    assert values(response, "text") == [item["text"] for item in expected]


def test_health(server: str) -> None:
    assert ask(lambda client: client.is_server_live(server)) is True
    assert ask(lambda client: client.is_server_ready(server)) is True
    assert ask(lambda client: client.is_model_ready(server, "sentiment-en")) is True
    assert ask(lambda client: client.is_model_ready(server, "nobody")) is False


def test_errors_have_what_it_reads(server: str) -> None:
    with pytest.raises(httpx.HTTPStatusError) as error:
        infer(server, "sentiment-en", text_input([" "], is_binary=False))
    assert error.value.response.status_code == 422
    assert error.value.response.json()["error"].startswith("inputs[0] is empty")
