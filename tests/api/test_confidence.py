"""The confidence of answers with tokens over HTTP, for models with a curve and without."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from app.store.confidence import Confidence, Curve
from tests.api.sse import events_of
from tests.conftest import serving_store
from tests.tiny_store import drafts, publish_tiny, tiny_tokenizer
from training.confidence import Judged, fitted

GREEDY = ((-6.0, 0.05), (-5.28, 0.4), (-4.0, 0.9))  # the models of these tests score about -5.3
SEARCHED = ((-5.0, 0.1), (-1.0, 0.8))
TEXTS = ["save the file", "close it", "a warm and funny film", "do you want to see the plot again"]
SENTENCES = "Save the file. Close it! Do you want to see the plot?"
_UNSURE_BELOW = 0.4


def _confidence(*, searched: bool = True) -> Confidence:
    def curve(points: tuple[tuple[float, float], ...]) -> Curve:
        return Curve(points=points, answers=10, held_out=10, error=0)

    judged = [Judged(-1, True)] * 2
    confidence = fitted(judged, judged, acceptable="x", unsure_below=_UNSURE_BELOW, command="y")
    return confidence.model_copy(update={"greedy": curve(GREEDY), "searched": curve(SEARCHED) if searched else None})


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a server with calibrated models, and with one that is not."""
    folder: Path = tmp_path_factory.mktemp("confidence")
    tokenizer = tiny_tokenizer(folder)
    translator, captioner, language_model = (
        next(draft for draft in drafts() if draft.name == name) for name in ("translate-en-ko", "caption-en", "lm-en")
    )
    calibrated = {"confidence": _confidence()}
    for draft in (
        translator.model_copy(update=calibrated | {"one_sentence": True}),
        translator.model_copy(update={"name": "not-calibrated", "default": False}),
        captioner.model_copy(update={"confidence": _confidence(searched=False)}),
        language_model.model_copy(update=calibrated),
    ):
        publish_tiny(draft, folder / "store", tokenizer, spread=2)
    with serving_store(folder / "store", folder) as address, httpx.Client(base_url=address) as client:
        yield client


def results(http: httpx.Client, path: str, inputs: Any, **options: Any) -> list[dict[str, Any]]:
    answer = http.post(path, json={"inputs": inputs, **options})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def share(points: tuple[tuple[float, float], ...], score: float) -> float:
    scores, shares = zip(*points, strict=True)
    return float(np.interp(score, scores, shares))


def mean_log_prob(result: dict[str, Any]) -> float:
    return float(np.mean([token["logprob"] for token in result["tokens"]]))


def test_the_confidence_of_a_greedy_answer_is_the_share_at_its_score(http: httpx.Client) -> None:
    found = results(http, "/v1/translate", TEXTS)
    assert [one["confidence"] for one in found] == pytest.approx([share(GREEDY, one["score"]) for one in found])
    assert len({one["confidence"] for one in found}) == len(TEXTS)
    assert [one.get("unsure") for one in found] == [
        True if one["confidence"] < _UNSURE_BELOW else None for one in found
    ]
    assert {one.get("unsure") for one in found} == {True, None}


def test_an_answer_of_beam_search_has_the_curve_of_its_own(http: httpx.Client) -> None:
    found = results(http, "/v1/translate", TEXTS, beams=3, length_penalty=0.7, logprobs=0, n_best=2)
    assert [one["confidence"] for one in found] == pytest.approx([share(SEARCHED, mean_log_prob(one)) for one in found])
    assert all("confidence" not in other for one in found for other in one["hypotheses"])


def test_several_sentences_have_the_lowest_confidence_of_them(http: httpx.Client) -> None:
    alone = results(http, "/v1/translate", SENTENCES.replace("! ", "!|").replace(". ", ".|").split("|"))
    [together] = results(http, "/v1/translate", SENTENCES)
    assert len(alone) == 3
    assert together["confidence"] == pytest.approx(min(one["confidence"] for one in alone))


def test_the_last_event_of_a_stream_has_the_confidence(http: httpx.Client) -> None:
    [whole] = results(http, "/v1/translate", SENTENCES)
    answer = http.post("/v1/translate", json={"inputs": SENTENCES, "stream": True})
    [last] = [event.data["result"] for event in events_of(answer.text) if event.name == "result"]
    assert last["confidence"] == pytest.approx(whole["confidence"])
    assert last.get("unsure") == whole.get("unsure")


def test_captions_and_completions_have_it_too(http: httpx.Client) -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    image = base64.b64encode(file.getvalue()).decode()
    [caption] = results(http, "/v1/caption", image)
    assert caption["confidence"] == pytest.approx(share(GREEDY, caption["score"]))
    [completion] = results(http, "/v1/complete", "the plot", max_tokens=5)
    assert completion["confidence"] == pytest.approx(share(GREEDY, completion["score"]))
    [searched] = results(http, "/v1/caption", image, beams=2)
    assert "confidence" not in searched  # this one has no curve for beam search


@pytest.mark.parametrize(
    "options", [{"temperature": 0.8, "seed": 1}, {"model": "not-calibrated"}], ids=["drawn", "not calibrated"]
)
def test_other_answers_have_none(http: httpx.Client, options: dict[str, Any]) -> None:
    for one in results(http, "/v1/translate", TEXTS, **options):
        assert not one.keys() & {"confidence", "unsure"}


def test_models_say_below_what_they_are_unsure(http: httpx.Client) -> None:
    models = {model["name"]: model for model in http.get("/v1/models").json()["models"]}
    assert models["translate-en-ko"]["unsure_below"] == _UNSURE_BELOW
    assert "unsure_below" not in models["not-calibrated"]
