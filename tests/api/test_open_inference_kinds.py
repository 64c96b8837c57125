"""Triton's client with tags, states and clips: the tensors of the native results, binary and in JSON."""

from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from tritonclient.http import InferenceServerClient, InferInput
from tritonclient.utils import InferenceServerException

from tests.api.clips import animation, pictures
from tests.service.serving import until

TEXTS = ["a warm and funny film that i would gladly see again", "save the file"]
SERIES = [[[20.0, 3.0], [21.5, 2.0], [19.0, 7.0]], [[5.0, 1.0], [4.0, 9.0], [3.0, 8.0]]]
is_binary = pytest.mark.parametrize("is_binary", [True, False], ids=["binary", "json"])


@pytest.fixture
def triton(every_kind_server: str) -> Iterator[InferenceServerClient]:
    with InferenceServerClient(every_kind_server.removeprefix("http://"), network_timeout=100) as client:
        yield client


def tensor(name: str, values: np.ndarray[Any, Any], kind: str, *, is_binary: bool) -> InferInput:
    made = InferInput(name, list(values.shape), kind)
    made.set_data_from_numpy(values, binary_data=is_binary)
    return made


def texts_of(array: np.ndarray[Any, Any]) -> list[Any]:
    """Texts, which the client leaves as bytes if they came as bytes."""
    found: list[Any] = np.vectorize(lambda item: item.decode() if isinstance(item, bytes) else item)(array).tolist()
    return found


def native(kinds: httpx.Client, path: str, inputs: Any, model: str) -> list[dict[str, Any]]:
    answer = kinds.post(path, json={"inputs": inputs, "model": model})
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


@is_binary
@pytest.mark.parametrize("model", ["tag-tiny", "tag-crf", "tag-en"])
def test_tags(triton: InferenceServerClient, kinds: httpx.Client, model: str, is_binary: bool) -> None:
    given = tensor("text_input", np.array([text.encode() for text in TEXTS], object), "BYTES", is_binary=is_binary)
    metadata = triton.get_model_metadata(model)
    assert [(one["name"], one["datatype"], one["shape"]) for one in metadata["outputs"]] == [
        ("word", "BYTES", [-1, -1]),
        ("label", "BYTES", [-1, -1]),
        ("score", "FP32", [-1, -1]),
    ]
    result = triton.infer(model, [given])
    results = native(kinds, "/v1/tag", TEXTS, model)
    longest = max(len(one["tags"]) for one in results)
    for place, one in enumerate(results):
        blank = longest - len(one["tags"])
        assert texts_of(result.as_numpy("word"))[place] == [word["text"] for word in one["tags"]] + [""] * blank
        assert texts_of(result.as_numpy("label"))[place] == [word["label"] for word in one["tags"]] + [""] * blank
        scores = result.as_numpy("score")[place, : len(one["tags"])]
        np.testing.assert_allclose(scores, [word["score"] for word in one["tags"]], atol=1e-3)


@is_binary
@pytest.mark.parametrize("model", ["classify-series", "classify-frames"])
def test_labels_of_series_and_clips(
    triton: InferenceServerClient, kinds: httpx.Client, model: str, is_binary: bool
) -> None:
    if model == "classify-series":
        given = tensor("series", np.array(SERIES, np.float32), "FP32", is_binary=is_binary)
        expected = native(kinds, "/v1/classify", SERIES, model)
    else:
        pixels = np.stack([np.asarray(image) for image in pictures(6)])
        clips = np.stack([pixels, pixels[::-1]])
        given = tensor("frames", clips, "UINT8", is_binary=is_binary)
        files = [animation(pictures(6), "PNG"), animation(pictures(6)[::-1], "PNG")]
        form = [kinds.post("/v1/classify", files=[("frames", ("a", file))], data={"model": model}) for file in files]
        expected = [answer.json()["results"][0] for answer in form]
    result = triton.infer(model, [given])
    assert texts_of(result.as_numpy("label")) == [one["label"] for one in expected]
    np.testing.assert_allclose(result.as_numpy("scores"), [list(one["scores"].values()) for one in expected], atol=1e-5)


def test_a_clip_as_a_file(triton: InferenceServerClient, kinds: httpx.Client) -> None:
    file = animation(pictures(9))
    given = tensor("clip", np.array([file], object), "BYTES", is_binary=True)
    result = triton.infer("classify-frames", [given])
    answer = kinds.post("/v1/classify?model=classify-frames", content=file, headers={"Content-Type": "image/webp"})
    assert texts_of(result.as_numpy("label")) == [answer.json()["results"][0]["label"]]


def test_metadata_names_the_tensors_of_each_kind(triton: InferenceServerClient) -> None:
    inputs = {
        name: [(one["name"], one["datatype"], one["shape"]) for one in triton.get_model_metadata(name)["inputs"]]
        for name in ("classify-series", "classify-frames", "tag-en", "forecast-weather")
    }
    assert inputs == {
        "classify-series": [("series", "FP32", [-1, -1, 2])],
        "classify-frames": [("clip", "BYTES", [-1]), ("frames", "UINT8", [-1, -1, -1, -1, 3])],
        "tag-en": [("text_input", "BYTES", [-1])],
        "forecast-weather": [("series", "FP32", [-1, -1, 4])],
    }


def test_a_wrong_tensor_is_refused_with_its_limit(triton: InferenceServerClient) -> None:
    def refused(model: str, name: str, values: np.ndarray[Any, Any], kind: str) -> str:
        with pytest.raises(InferenceServerException) as refusal:
            triton.infer(model, [tensor(name, values, kind, is_binary=True)])
        return str(refusal.value)

    assert "6" in refused("classify-frames", "frames", np.zeros((1, 2, 8, 8, 3), np.uint8), "UINT8")
    assert "3" in refused("forecast-tiny", "series", np.zeros((1, 6, 2), np.float32), "FP32")
    assert "6" in refused("forecast-tiny", "series", np.zeros((1, 2, 3), np.float32), "FP32")
    assert "infinite" in refused("forecast-tiny", "series", np.full((1, 6, 3), np.inf, np.float32), "FP32")


def test_statistics_count_each_kind(triton: InferenceServerClient) -> None:
    def answered(model: str) -> int:
        (statistics,) = triton.get_inference_statistics(model)["model_stats"]
        return int(statistics["inference_stats"]["success"]["count"])

    given = {
        "tag-tiny": tensor("text_input", np.array([b"save"], object), "BYTES", is_binary=True),
        "forecast-tiny": tensor("series", np.ones((1, 6, 3), np.float32), "FP32", is_binary=True),
        "classify-series": tensor("series", np.ones((1, 6, 2), np.float32), "FP32", is_binary=True),
    }
    for model, one in given.items():
        before = answered(model)
        triton.infer(model, [one])
        until(lambda model=model, before=before: answered(model) == before + 1)  # type: ignore[misc]
