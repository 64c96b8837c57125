"""Triton's own client gets the results of the native interface."""

import base64
import io
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput, InferResult
from tritonclient.utils import InferenceServerException

from tests.service.serving import until

TEXTS = ["a warm and funny film", "the plot makes no sense", "정말 재미있게 봤어요"]
SENTENCES = ["do you want to save the changes", "save the file"]
BINARY_OR_JSON = pytest.mark.parametrize("is_binary", [True, False], ids=["binary", "json"])


@pytest.fixture(scope="module")
def triton(server: str) -> Iterator[InferenceServerClient]:
    with InferenceServerClient(server.removeprefix("http://"), network_timeout=100, connection_timeout=100) as client:
        yield client


def text_input(texts: list[str], *, is_binary: bool = True, columns: bool = False) -> InferInput:
    array = np.array([text.encode() for text in texts], dtype=np.object_)
    array = array.reshape(-1, 1) if columns else array
    tensor = InferInput("text_input", list(array.shape), "BYTES")
    tensor.set_data_from_numpy(array, binary_data=is_binary)
    return tensor


def pixels_input(pixels: Any, *, is_binary: bool = True) -> InferInput:
    tensor = InferInput("pixels", list(pixels.shape), "UINT8")
    tensor.set_data_from_numpy(pixels, binary_data=is_binary)
    return tensor


def strings(result: InferResult, name: str) -> list[Any]:
    """The elements of an output of BYTES, flat: bytes in binary data, strings in JSON."""
    told = result.as_numpy(name)
    return [item.decode() if isinstance(item, bytes) else item for item in told.flatten().tolist()]


def native(http: httpx.Client, path: str, **body: Any) -> list[dict[str, Any]]:
    answer = http.post(path, json=body)
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def gradient(count: int, height: int, width: int) -> Any:
    """Images whose pixels and sides all differ."""
    values = np.arange(count * height * width * 3, dtype=np.int64) * 7919 % 256
    return values.astype(np.uint8).reshape(count, height, width, 3)


def png(pixels: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@BINARY_OR_JSON
@pytest.mark.parametrize("columns", [False, True])
def test_labels_are_the_native_ones(
    triton: InferenceServerClient, http: httpx.Client, is_binary: bool, columns: bool
) -> None:
    expected = native(http, "/v1/sentiment", inputs=TEXTS, model="sentiment-en")
    names = ("label", "score", "polarity", "scores")
    outputs = [InferRequestedOutput(name, binary_data=is_binary) for name in names]
    sent = text_input(TEXTS, is_binary=is_binary, columns=columns)
    result = triton.infer("sentiment-en", [sent], outputs=outputs, request_id="7a")
    answer = result.get_response()
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("sentiment-en", "1", "7a")
    assert [output["name"] for output in answer["outputs"]] == list(names)
    assert all(("data" in output) is not is_binary for output in answer["outputs"])
    assert strings(result, "label") == [item["label"] for item in expected]
    scores = result.as_numpy("scores")
    assert (scores.dtype, scores.shape) == (np.float32, (3, 2))
    assert scores == pytest.approx(np.array([list(item["scores"].values()) for item in expected]), abs=1e-6)
    for name in ("score", "polarity"):
        assert result.as_numpy(name).shape == (3,)
        assert result.as_numpy(name) == pytest.approx(np.array([item[name] for item in expected]), abs=1e-6)


def test_all_outputs_are_told_when_none_is_asked_for(triton: InferenceServerClient) -> None:
    answer = triton.infer("sentiment-en", [text_input(TEXTS)]).get_response()
    assert [output["name"] for output in answer["outputs"]] == ["label", "score", "polarity", "scores"]
    assert all(output["parameters"]["binary_data_size"] > 0 for output in answer["outputs"])
    assert "id" not in answer


def test_only_what_is_asked_for_is_told_in_its_order(triton: InferenceServerClient) -> None:
    asked = [InferRequestedOutput("scores", binary_data=False), InferRequestedOutput("label", binary_data=True)]
    result = triton.infer("sentiment-en", [text_input(TEXTS)], outputs=asked)
    outputs = result.get_response()["outputs"]
    assert [(output["name"], "data" in output) for output in outputs] == [("scores", True), ("label", False)]
    scores, labels = result.as_numpy("scores"), strings(result, "label")
    assert labels == [("negative", "positive")[row.argmax()] for row in scores]


@BINARY_OR_JSON
@pytest.mark.parametrize("count", [1, 2, 5])
def test_classification_is_score_index_and_label_best_first(
    triton: InferenceServerClient, is_binary: bool, count: int
) -> None:
    asked = InferRequestedOutput("scores", binary_data=is_binary, class_count=count)
    rows = triton.infer("sentiment-en", [text_input(TEXTS)], outputs=[asked]).as_numpy("scores")
    scores = triton.infer("sentiment-en", [text_input(TEXTS)]).as_numpy("scores")
    assert rows.shape == (3, min(count, 2))
    for row, values in zip(rows, scores, strict=True):
        told = [item.decode() if isinstance(item, bytes) else item for item in row]
        ranked = sorted(enumerate(values), key=lambda item: -item[1])[:count]
        assert [item.split(":")[1:] for item in told] == [
            [str(place), ("negative", "positive")[place]] for place, _ in ranked
        ]
        assert [float(item.split(":")[0]) for item in told] == pytest.approx([v for _, v in ranked], abs=1e-6)


@BINARY_OR_JSON
def test_translation_takes_decoding_options(triton: InferenceServerClient, http: httpx.Client, is_binary: bool) -> None:
    for options in (
        {},
        {"beams": 4, "max_tokens": 9},
        {"temperature": 1.2, "seed": 5, "top_k": 20},
        {"stop": ["a", "e"]},
    ):
        expected = native(http, "/v1/translate", inputs=SENTENCES, **options)
        sent = text_input(SENTENCES, is_binary=is_binary)
        result = triton.infer("translate-en-ko", [sent], model_version="1", parameters=options)
        assert strings(result, "text") == [item["text"] for item in expected]
        assert strings(result, "finish_reason") == [item["finish_reason"] for item in expected]
        assert result.as_numpy("score").dtype == np.float32
        assert result.as_numpy("score") == pytest.approx(np.array([item["score"] for item in expected]), abs=1e-5)


def test_completion_is_the_native_one(triton: InferenceServerClient, http: httpx.Client) -> None:
    expected = native(http, "/v1/complete", inputs=["the plot makes", ""], model="lm-en", max_tokens=9)
    result = triton.infer("lm-en", [text_input(["the plot makes", ""])], parameters={"max_tokens": 9})
    assert strings(result, "text") == [item["text"] for item in expected]


@BINARY_OR_JSON
@pytest.mark.parametrize("shape", [(1, 64, 64), (2, 40, 90)])
def test_pixels_are_captioned_as_the_file_that_holds_them(
    triton: InferenceServerClient, http: httpx.Client, is_binary: bool, shape: tuple[int, int, int]
) -> None:
    images = gradient(*shape)
    files = [base64.b64encode(png(image)).decode() for image in images]
    expected = native(http, "/v1/caption", inputs=files)
    result = triton.infer("caption-en", [pixels_input(images, is_binary=is_binary)])
    assert strings(result, "text") == [item["text"] for item in expected]
    assert result.as_numpy("score") == pytest.approx(np.array([item["score"] for item in expected]), abs=1e-5)


def test_pixels_make_a_difference(triton: InferenceServerClient) -> None:
    images = np.concatenate([gradient(1, 64, 64), np.zeros((1, 64, 64, 3), np.uint8)])
    scores = triton.infer("caption-en", [pixels_input(images)]).as_numpy("score")
    assert scores[0] != scores[1]


@BINARY_OR_JSON
def test_image_files_are_bytes_or_base64(triton: InferenceServerClient, http: httpx.Client, is_binary: bool) -> None:
    files = [png(image) for image in gradient(2, 50, 70)]
    coded = [base64.b64encode(file) for file in files]
    expected = native(http, "/v1/caption", inputs=[code.decode() for code in coded], beams=3)
    tensor = InferInput("image", [2], "BYTES")
    tensor.set_data_from_numpy(np.array(files if is_binary else coded, dtype=np.object_), binary_data=is_binary)
    result = triton.infer("caption-en", [tensor], parameters={"beams": 3})
    assert strings(result, "text") == [item["text"] for item in expected]


def test_data_may_be_nested(http: httpx.Client) -> None:
    images = gradient(2, 5, 4)
    answers = []
    for data in (images.tolist(), images.flatten().tolist()):
        tensor = {"name": "pixels", "shape": [2, 5, 4, 3], "datatype": "UINT8", "data": data}
        answers.append(http.post("/v2/models/caption-en/infer", json={"inputs": [tensor]}).json())
    assert answers[0] == answers[1]
    assert len(answers[0]["outputs"][0]["data"]) == 2
    tensor = {"name": "text_input", "shape": [2, 1], "datatype": "BYTES", "data": [["a film"], ["a plot"]]}
    answer = http.post("/v2/models/sentiment-en/infer", json={"inputs": [tensor]}).json()
    assert len(answer["outputs"][0]["data"]) == 2


def test_priority_and_timeout_are_as_triton_counts(triton: InferenceServerClient) -> None:
    result = triton.infer("sentiment-en", [text_input(TEXTS)], priority=1, timeout=5_000_000)
    assert len(strings(result, "label")) == 3
    with pytest.raises(InferenceServerException, match=r"priority.*less than or equal to 21"):
        triton.infer("sentiment-en", [text_input(TEXTS)], priority=22)


def test_a_sentence_that_runs_out_of_time_is_answered_as_far_as_it_came(
    triton: InferenceServerClient, endless: str
) -> None:
    slow = {"max_tokens": 4000, "min_tokens": 4000, "no_repeat_ngram_size": 3}  # not by the native unit
    options: dict[str, Any] = {"parameters": slow}
    for microseconds in (200_000, 800_000, 3_200_000):  # until one token comes in time
        with suppress(InferenceServerException):
            result = triton.infer("translate-en-ko", [text_input([endless])], timeout=microseconds, **options)
            break
    assert strings(result, "finish_reason") == ["deadline"]


def test_metadata_describe_the_server_and_its_models(triton: InferenceServerClient) -> None:
    server = triton.get_server_metadata()
    assert server["name"] == "unroll"
    assert {"binary_tensor_data", "classification", "generate", "model_repository", "statistics"} <= set(
        server["extensions"]
    )
    assert triton.is_server_live()
    assert triton.is_server_ready()
    model = triton.get_model_metadata("sentiment-en", model_version="1")
    assert model == triton.get_model_metadata("sentiment-en")
    assert (model["name"], model["versions"]) == ("sentiment-en", ["1"])
    assert model["inputs"] == [{"name": "text_input", "datatype": "BYTES", "shape": [-1]}]
    assert {"name": "scores", "datatype": "FP32", "shape": [-1, 2]} in model["outputs"]
    captioner = triton.get_model_metadata("caption-en")
    assert [item["shape"] for item in captioner["inputs"]] == [[-1], [-1, -1, -1, 3]]
    for name in ("sentiment-en", "caption-en", "translate-en-ko", "lm-ko"):
        assert triton.is_model_ready(name)
        assert triton.is_model_ready(name, "1")
    assert not triton.is_model_ready("nobody")
    assert not triton.is_model_ready("sentiment-en", "9")


def test_metadata_name_what_infer_tells(triton: InferenceServerClient) -> None:
    inputs = {
        "sentiment-en": text_input(TEXTS),
        "lm-en": text_input(TEXTS),
        "caption-en": pixels_input(gradient(3, 9, 9)),
    }
    for name, sent in inputs.items():
        outputs = triton.get_model_metadata(name)["outputs"]
        described = [item for item in outputs if item["name"] != "state"]  # which infer gives on request only
        told = triton.infer(name, [sent]).get_response()["outputs"]
        assert [(item["name"], item["datatype"]) for item in told] == [
            (item["name"], item["datatype"]) for item in described
        ]
        for item, other in zip(told, described, strict=True):
            assert item["shape"] == [3, *other["shape"][1:]]


def test_configuration_is_that_of_a_batching_model(triton: InferenceServerClient) -> None:
    assert triton.get_model_config("sentiment-en") == triton.get_model_config("sentiment-en", "1")
    config = triton.get_model_config("caption-en")
    assert config["max_batch_size"] == 64
    assert config["input"] == [
        {"name": "image", "data_type": "TYPE_STRING", "dims": [], "optional": True},
        {"name": "pixels", "data_type": "TYPE_UINT8", "dims": [-1, -1, 3], "optional": True},
    ]


def counted(triton: InferenceServerClient, name: str) -> dict[str, Any]:
    (model,) = triton.get_inference_statistics(name, "1")["model_stats"]
    assert (model["name"], model["version"]) == (name, "1")
    told: dict[str, Any] = model
    return told


def settled(triton: InferenceServerClient, name: str) -> dict[str, Any]:
    """The statistics once the engines have reported, which they do every half second."""
    time.sleep(0.7)
    return counted(triton, name)


def test_statistics_count_inputs_by_whichever_route(
    triton: InferenceServerClient, http: httpx.Client, endless: str
) -> None:
    other = settled(triton, "sentiment-ko")
    before = counted(triton, "sentiment-en-uni")
    triton.infer("sentiment-en-uni", [text_input(TEXTS)])
    native(http, "/v1/sentiment", inputs=TEXTS[:2], model="sentiment-en-uni")
    until(lambda: counted(triton, "sentiment-en-uni")["inference_count"] >= before["inference_count"] + 5)
    after = counted(triton, "sentiment-en-uni")
    grown = {
        name: (duration["count"] - was["count"], duration["ns"] - was["ns"])
        for name, duration in after["inference_stats"].items()
        for was in [before["inference_stats"][name]]
    }
    assert {name: count for name, (count, _) in grown.items() if count} == {
        "success": 5,
        "queue": 5,
        "compute_input": 5,
    }
    assert grown["success"][1] == pytest.approx(grown["queue"][1] + grown["compute_input"][1], rel=1e-3)
    assert 0 <= time.time() * 1000 - after["last_inference"] < 60_000
    assert 1 <= after["execution_count"] - before["execution_count"] <= 5
    assert counted(triton, "sentiment-ko") == other
    sentences = counted(triton, "translate-en-ko")
    native(http, "/v1/translate", inputs="save the file", stop=["never there"])
    assert http.post("/v1/translate", json={"inputs": SENTENCES, "stream": True}).status_code == 200
    until(lambda: counted(triton, "translate-en-ko")["inference_count"] == sentences["inference_count"] + 3)
    assert counted(triton, "translate-en-ko")["inference_stats"]["compute_infer"]["count"] >= 3


def test_statistics_of_all_models_are_those_of_each(triton: InferenceServerClient) -> None:
    everything = triton.get_inference_statistics()["model_stats"]
    assert {model["name"] for model in everything} >= {"sentiment-en", "caption-en", "lm-en"}
    for model in everything:
        assert triton.get_inference_statistics(model["name"])["model_stats"] == [model]


def test_repository_index_lists_what_answers(triton: InferenceServerClient, http: httpx.Client) -> None:
    index = triton.get_model_repository_index()
    assert {"name": "sentiment-en", "version": "1", "state": "READY", "reason": ""} in index
    assert len(index) == len(http.get("/v1/models").json()["models"])
    assert http.post("/v2/repository/index", json={"ready": True}).json() == index
