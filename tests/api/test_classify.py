"""`POST /v1/classify`: texts, series and clips; each with the labels of plain PyTorch."""

from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from PIL import Image
from tritonclient.http import InferenceServerClient, InferInput

from app.models.networks import Classifier
from tests.api.clips import animation, pictures, saved, text
from tests.api.conftest import MOST_FRAMES
from tests.engine.references import open_shipped
from tests.tiny_numbers import FRAME_SIZE, GESTURES

TEXT = "a warm and funny film"
SERIES = [[20.0, 3.0], [21.5, 2.0], [19.0, 7.0], [25.0, 1.0]]
PICTURES = pictures(6)
CLIP = [text(saved(image)) for image in PICTURES]
OF_FRAMES = "classify-frames"


def results_of(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def classify(kinds: httpx.Client, inputs: Any, **options: Any) -> list[dict[str, Any]]:
    return results_of(kinds.post("/v1/classify", json={"inputs": inputs, **options}))


def refused(answer: httpx.Response, kind: str, *words: str) -> dict[str, Any]:
    assert 400 <= answer.status_code < 500, answer.text
    problem: dict[str, Any] = answer.json()
    assert problem["type"] == f"/problems/{kind}", problem
    for one in words:
        assert one in problem["detail"]
    return problem


@torch.inference_mode()
def plain(store: Path, model: str, source: torch.Tensor) -> list[float]:
    """The probabilities of plain PyTorch for one source (steps, ...)."""
    network = open_shipped(store, f"{model}/1").network
    assert isinstance(network, Classifier)
    scores: list[float] = network(source[None], torch.tensor([len(source)]))[0].softmax(0).tolist()
    return scores


def frames_of(images: list[Image.Image]) -> torch.Tensor:
    """Images as the model reads them (frames, height, width, 3)."""
    small = [np.asarray(image.resize((FRAME_SIZE, FRAME_SIZE), Image.Resampling.BILINEAR)) for image in images]
    return torch.from_numpy(np.stack(small))


def scaled(rows: list[list[float]]) -> torch.Tensor:
    """Rows as `classify-series` reads them: a temperature from -10 to 40 degrees, and a wind."""
    array = torch.tensor(rows)
    return torch.stack([(array[:, 0] + 10) / 50, array[:, 1]], 1)


def test_a_text_has_the_label_of_the_route_of_its_task(kinds: httpx.Client) -> None:
    (result,) = classify(kinds, TEXT, model="sentiment-en")
    (sentiment,) = results_of(kinds.post("/v1/sentiment", json={"inputs": TEXT, "model": "sentiment-en"}))
    assert sentiment.pop("polarity") is not None
    assert result == sentiment


def test_the_script_chooses_the_model_of_each_text(kinds: httpx.Client) -> None:
    english, korean = classify(kinds, [TEXT, "정말 재미있게 봤어요"])
    assert (english["model"], korean["model"]) == ("sentiment-en", "sentiment-ko")


@pytest.mark.parametrize("options", [{}, {"model": "classify-series"}])
def test_a_series_has_the_label_of_plain_pytorch(
    kinds: httpx.Client, every_kind: Path, options: dict[str, Any]
) -> None:
    by_name = [{"temperature": row[0], "wind": row[1]} for row in SERIES]
    by_column = {"temperature": [row[0] for row in SERIES], "wind": [row[1] for row in SERIES]}
    expected = plain(every_kind, "classify-series", scaled(SERIES))
    for inputs in (SERIES, by_name, by_column):
        (result,) = classify(kinds, inputs, **options)
        assert result["model"] == "classify-series"
        assert list(result["scores"]) == list(GESTURES)
        assert list(result["scores"].values()) == pytest.approx(expected, abs=1e-6)
        assert result["score"] == max(result["scores"].values())
    csv = "wind,temperature\n" + "".join(f"{wind},{warmth}\n" for warmth, wind in SERIES)
    answer = kinds.post("/v1/classify", content=csv, headers={"content-type": "text/csv"}, params=options)
    assert results_of(answer) == [result]


def test_several_series_have_the_labels_of_each(kinds: httpx.Client) -> None:
    others = [SERIES, SERIES[:2], [SERIES[3]]]
    together = classify(kinds, others)
    for result, series in zip(together, others, strict=True):
        (alone,) = classify(kinds, series)
        assert list(result["scores"].values()) == pytest.approx(list(alone["scores"].values()), abs=1e-6)


@pytest.mark.parametrize("inputs", [{"frames": CLIP}, {"frames": text(animation(PICTURES))}, [{"frames": CLIP}]])
def test_a_clip_has_the_label_of_plain_pytorch(kinds: httpx.Client, every_kind: Path, inputs: Any) -> None:
    for options in ({}, {"model": OF_FRAMES}):
        (result,) = classify(kinds, inputs, **options)
        assert result["model"] == options.get("model", "classify-digits-motion")  # the default for clips
        expected = plain(every_kind, result["model"], frames_of(PICTURES))
        assert list(result["scores"].values()) == pytest.approx(expected, abs=1e-6)


def test_with_a_model_a_clip_needs_no_object(kinds: httpx.Client) -> None:
    (expected,) = classify(kinds, {"frames": CLIP}, model=OF_FRAMES)
    one_file = text(animation(PICTURES))
    for inputs, count in ((CLIP, 1), (one_file, 1), ([CLIP, CLIP], 2), ([CLIP, one_file, {"frames": CLIP}], 3)):
        results = classify(kinds, inputs, model=OF_FRAMES)
        assert len(results) == count
        for result in results:
            assert list(result["scores"].values()) == pytest.approx(list(expected["scores"].values()), abs=1e-6)


def test_parts_of_a_form_are_one_clip(kinds: httpx.Client) -> None:
    (expected,) = classify(kinds, {"frames": CLIP})
    parts = [("frames", (f"{number}.png", saved(image))) for number, image in enumerate(PICTURES)]
    form = kinds.post("/v1/classify", files=parts)
    assert results_of(form) == [expected]
    named = kinds.post("/v1/classify", files=parts, data={"model": "classify-digits-motion"})
    assert results_of(named) == [expected]
    in_query = kinds.post("/v1/classify?model=classify-digits-motion", files=[("frames", animation(PICTURES))])
    assert results_of(in_query) == [expected]
    body = kinds.post("/v1/classify", content=animation(PICTURES), headers={"content-type": "image/webp"})
    assert results_of(body) == [expected]
    gif = kinds.post("/v1/classify", content=animation(PICTURES, "GIF"), headers={"content-type": "image/gif"})
    assert results_of(gif)[0]["label"] == expected["label"]


def test_a_longer_clip_is_sampled_evenly(kinds: httpx.Client) -> None:
    twelve = pictures(12)
    (expected,) = classify(kinds, {"frames": [text(saved(image)) for image in twelve[1::2]]})
    (listed,) = classify(kinds, {"frames": [text(saved(image)) for image in twelve]})
    (in_file,) = classify(kinds, {"frames": text(animation(twelve))})
    assert listed == expected
    assert in_file == expected


def test_the_label_after_each_frame_and_row(kinds: httpx.Client) -> None:
    (clip,) = classify(kinds, {"frames": CLIP}, model=OF_FRAMES, explain=True, layer=0)
    explanation = clip["explanation"]
    assert (explanation["method"], explanation["steps"], "tokens" in explanation) == ("one pass", 6, False)
    assert len(explanation["probabilities"]) == 6
    assert explanation["probabilities"][-1] == pytest.approx(list(clip["scores"].values()), abs=1e-6)
    assert np.shape(explanation["activations"]["directions"][0]["hidden"]) == (6, 8)
    (series,) = classify(kinds, SERIES, explain=True)
    assert (series["explanation"]["method"], series["explanation"]["steps"]) == ("each prefix read anew", 4)
    for place, row in enumerate(series["explanation"]["probabilities"], 1):
        (alone,) = classify(kinds, SERIES[:place])
        assert row == pytest.approx(list(alone["scores"].values()), abs=1e-6)


def test_a_model_without_labels_is_not_taken(kinds: httpx.Client) -> None:
    for model in ("lm-en", "forecast-tiny", "tag-tiny", "caption-en", "nobody"):
        problem = refused(
            kinds.post("/v1/classify", json={"inputs": TEXT, "model": model}),
            "model-not-found",
            "classify-frames",
            model,
        )
        assert "lm-en, " not in problem["detail"]


def test_no_model_reads_the_inputs(http: httpx.Client) -> None:
    answer = http.post("/v1/classify", json={"inputs": [[1, 2], [3, 4]]})
    refused(
        answer, "model-not-found", "no classification model of the model store reads series; those that it has read "
    )


def test_sentiment_takes_its_own_models_alone(kinds: httpx.Client) -> None:
    answer = kinds.post("/v1/sentiment", json={"inputs": TEXT, "model": "classify-series"})
    refused(answer, "model-not-found", "there is no sentiment model classify-series")


def test_inputs_of_another_kind_than_the_model(kinds: httpx.Client) -> None:
    bad: list[tuple[str, Any, str, str]] = [
        (
            "sentiment-en",
            SERIES,
            "invalid-request",
            "Input should be a text or a list of texts, which sentiment-en reads",
        ),
        ("sentiment-en", {"frames": CLIP}, "invalid-request", "a text or a list of texts, which sentiment-en reads"),
        ("sentiment-en", [TEXT, 7], "invalid-request", "inputs[1]: Input should be a valid string"),
        (
            "classify-frames",
            SERIES,
            "invalid-request",
            "Input should be a clip, as an object with 'frames', which classify",
        ),
        ("classify-frames", {"clip": CLIP}, "invalid-request", "should be a clip"),
        ("classify-frames", [CLIP, 7], "invalid-request", "inputs[1] should be a clip"),
        ("classify-frames", [], "invalid-request", "should be a clip"),
        ("classify-frames", ["no base64!"] * 6, "invalid-image", "frame 0 of inputs[0] is not base64"),
        ("classify-series", TEXT, "invalid-request", "Input should be a series"),
    ]
    for model, inputs, kind, words in bad:
        refused(kinds.post("/v1/classify", json={"inputs": inputs, "model": model}), kind, words)
    problem = refused(
        kinds.post("/v1/classify", json={"inputs": {"frames": []}}), "invalid-request", "should be a clip"
    )
    assert "None" not in problem["detail"]
    refused(kinds.post("/v1/classify", json={"inputs": 7}), "invalid-request", "a text", "a clip", "a series")
    refused(kinds.post("/v1/classify", json={"inputs": []}), "invalid-request", "a text", "a clip", "a series")
    refused(kinds.post("/v1/classify", json={}), "invalid-request", "inputs")


def test_clips_that_are_too_many_pixels_together_are_refused(numbers: httpx.Client) -> None:
    assert len(classify(numbers, [{"frames": CLIP}] * 3, model=OF_FRAMES)) == 3
    for clip in (CLIP, text(animation(PICTURES))):
        problem = refused(
            numbers.post("/v1/classify", json={"inputs": [{"frames": clip}] * 9, "model": OF_FRAMES}),
            "input-too-long",
            "inputs[3]",
            f"the limit of a request is {MOST_FRAMES * FRAME_SIZE**2}: send fewer images or frames",
        )
        assert (problem["input"], problem["limit"]) == (3, MOST_FRAMES * FRAME_SIZE**2)


def test_clips_that_are_refused(kinds: httpx.Client) -> None:
    for images in (CLIP[:5], text(animation(PICTURES[:5]))):
        problem = refused(
            kinds.post("/v1/classify", json={"inputs": [{"frames": CLIP}, {"frames": images}]}),
            "input-too-short",
            "inputs[1] has 5 frames, but the model reads 6",
        )
        assert (problem["input"], problem["limit"]) == (1, 6)
    many = [text(saved(image)) for image in pictures(25)]
    for images in (many, text(animation(pictures(25)))):
        problem = refused(
            kinds.post("/v1/classify", json={"inputs": {"frames": images}}),
            "input-too-long",
            "25 frames; the limit is 24",
        )
        assert problem["limit"] == 24
    moving = [*CLIP[:5], text(animation(PICTURES))]
    refused(
        kinds.post("/v1/classify", json={"inputs": {"frames": moving}}),
        "unsupported-media",
        "frame 5 of inputs[0] is animated",
    )
    broken = [*CLIP[:3], text(saved(PICTURES[3])[:60]), *CLIP[4:]]
    refused(kinds.post("/v1/classify", json={"inputs": {"frames": broken}}), "invalid-image", "frame 3 of inputs[0]")
    for kind in ("GIF", "WEBP", "PNG"):
        clips = [("frames", animation(PICTURES, kind))] * 2
        two = kinds.post("/v1/classify", files=clips)
        refused(two, "unsupported-media", "frame 0 of inputs[0] is animated", "send several clips in JSON")
    other = kinds.post("/v1/classify", files={"images": saved(PICTURES[0])})
    refused(other, "empty-input", "the form has no file in the field frames")
    more = kinds.post("/v1/classify", files={"frames": animation(PICTURES), "x": b""})
    refused(more, "invalid-request", "x: is unknown here")
    html = kinds.post("/v1/classify", content=b"<p>", headers={"content-type": "text/html"})
    refused(html, "unsupported-media", "text/csv", "image/gif")


def test_open_inference_has_the_tensors_of_each_kind(kinds: httpx.Client) -> None:
    (expected,) = classify(kinds, {"frames": CLIP}, model=OF_FRAMES)
    metadata = kinds.get("/v2/models/classify-frames").json()
    assert [(one["name"], one["shape"]) for one in metadata["inputs"]] == [
        ("clip", [-1]),
        ("frames", [-1, -1, -1, -1, 3]),
    ]
    pixels = np.stack([np.asarray(image) for image in PICTURES])
    tensor = {"name": "frames", "datatype": "UINT8", "shape": [1, *pixels.shape], "data": pixels.ravel().tolist()}
    answer = kinds.post("/v2/models/classify-frames/infer", json={"inputs": [tensor]})
    outputs = {one["name"]: one["data"] for one in answer.json()["outputs"]}
    assert outputs["label"] == [expected["label"]]
    assert outputs["scores"] == pytest.approx(list(expected["scores"].values()), abs=1e-6)
    file = {"name": "clip", "datatype": "BYTES", "shape": [1], "data": [text(animation(PICTURES))]}
    answer = kinds.post("/v2/models/classify-frames/infer", json={"inputs": [file]})
    assert answer.json()["outputs"][0]["data"] == [expected["label"]]
    rows = {"name": "series", "datatype": "FP32", "shape": [1, 4, 2], "data": SERIES}
    answer = kinds.post("/v2/models/classify-series/infer", json={"inputs": [rows]})
    assert answer.json()["outputs"][0]["data"] == [classify(kinds, SERIES)[0]["label"]]


def test_tritons_client_sends_and_gets_arrays(every_kind_server: str, kinds: httpx.Client) -> None:
    (clip,) = classify(kinds, {"frames": CLIP}, model=OF_FRAMES)
    pixels = np.stack([np.stack([np.asarray(image) for image in PICTURES])] * 2)
    frames = InferInput("frames", list(pixels.shape), "UINT8")
    frames.set_data_from_numpy(pixels)
    texts = InferInput("text_input", [2], "BYTES")
    texts.set_data_from_numpy(np.array([b"save the file", b"file"], dtype=np.object_))
    with InferenceServerClient(every_kind_server.removeprefix("http://"), network_timeout=100) as triton:
        scores = triton.infer(OF_FRAMES, [frames]).as_numpy("scores")
        tagged = triton.infer("tag-tiny", [texts])
    assert scores == pytest.approx(np.array([list(clip["scores"].values())] * 2), abs=1e-6)
    assert tagged.as_numpy("word").tolist() == [[b"save", b"the", b"file"], [b"file", b"", b""]]
    assert tagged.as_numpy("score").shape == (2, 3)


def test_the_list_of_models_says_what_each_reads(kinds: httpx.Client) -> None:
    models = {model["name"]: model for model in kinds.get("/v1/models").json()["models"]}
    assert (models["classify-frames"]["source"], models["classify-frames"]["frames"]) == ("frames", 6)
    assert models["classify-series"]["source"] == "series"
    assert models["sentiment-en"]["source"] == "text"
    assert "frames" not in models["sentiment-en"]


def test_metrics_count_the_task_of_the_route(kinds: httpx.Client) -> None:
    def count() -> float:
        lines = kinds.get("/metrics").text.splitlines()
        found = [line for line in lines if line.startswith('unroll_inputs_total{task="classification"}')]
        return float(found[0].split()[-1]) if found else 0.0

    before = count()
    classify(kinds, [TEXT, TEXT], model="sentiment-en")
    assert count() == before + 2
