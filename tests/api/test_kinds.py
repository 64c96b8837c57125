"""Models of the kinds that importers bring, over HTTP: what is refused, what is explained, and what is streamed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

from tests.conftest import serving_store
from tests.engine.references import open_shipped
from tests.tiny_kinds import WINDOW, make_kinds_store

Body = dict[str, Any]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_kinds_store(tmp_path_factory.mktemp("kinds"))


@pytest.fixture(scope="module")
def client(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with (
        serving_store(store, tmp_path_factory.mktemp("server")) as address,
        httpx.Client(base_url=address, timeout=30) as client,
    ):
        yield client


def post(client: httpx.Client, path: str, body: Body, status: int = 200) -> Body:
    answer = client.post(f"/v1/{path}", json=body)
    assert answer.status_code == status, answer.text
    found: Body = answer.json()
    return found


def test_independent_labels_do_not_sum_to_1(client: httpx.Client, store: Path) -> None:
    body = {"inputs": ["a warm and funny film"], "model": "classify-keras"}
    (result,) = post(client, "classify", body)["results"]
    assert set(result["scores"]) == {"left", "right", "up"}
    assert result["score"] == max(result["scores"].values())
    assert abs(sum(result["scores"].values()) - 1) > 0.01


def test_a_text_that_is_too_short_for_its_convolutions_is_refused(client: httpx.Client) -> None:
    problem = post(
        client, "classify", {"inputs": ["a warm and funny film", "a"], "model": "classify-convolutions"}, 422
    )
    assert problem["type"] == "/problems/input-too-short"
    assert (problem["input"], problem["limit"]) == (1, 4)
    assert "classify-convolutions needs 4: send" in problem["detail"]


def test_a_series_with_fewer_rows_than_the_horizon_is_refused(client: httpx.Client) -> None:
    rows = [[1.0, 2.0]] * 3
    problem = post(client, "forecast", {"inputs": [rows], "model": "forecast-per-step"}, 422)
    assert problem["detail"] == "inputs[0] has 3 steps; forecast-per-step needs 4: send 1 more"
    (result,) = post(client, "forecast", {"inputs": [[*rows, [2.0, 3.0]]], "model": "forecast-per-step"})["results"]
    assert len(result["values"]) == 4


@pytest.mark.parametrize(
    ("model", "inputs"),
    [("classify-convolutions", "a warm and funny film"), ("classify-flat", [[1.0, 2.0]] * WINDOW)],
)
def test_where_beginnings_have_no_label_an_explanation_is_refused(
    client: httpx.Client, model: str, inputs: Any
) -> None:
    problem = post(client, "classify", {"inputs": [inputs], "model": model, "explain": True}, 422)
    assert "its label cannot be explained; leave out explain" in problem["detail"]


def test_an_explanation_ends_with_the_answer(client: httpx.Client) -> None:
    body = {"inputs": ["a warm and funny film"], "model": "classify-keras", "explain": True, "layer": 0}
    (result,) = post(client, "classify", body)["results"]
    explanation = result["explanation"]
    assert explanation["method"] == "each prefix read anew"
    assert explanation["probabilities"][-1] == pytest.approx(list(result["scores"].values()), abs=1e-4)
    assert explanation["activations"]["network"] == "LSTM (relu)-8"


@pytest.mark.parametrize("model", ["window-padded", "window-short"])
def test_a_completion_is_streamed_token_by_token(client: httpx.Client, model: str) -> None:
    body = {"inputs": "do you want to save the changes", "model": model, "max_tokens": 20}
    whole = post(client, "complete", body)["results"][0]["text"]
    assert whole
    with client.stream("POST", "/v1/complete", json={**body, "stream": True}) as answer:
        events = [line for line in answer.iter_lines() if line.startswith("event:")]
    assert events.count("event: token") >= 2
    assert post(client, "complete", {**body, "beams": 3})["results"][0]["text"]


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_a_state_is_that_of_the_recurrence(client: httpx.Client, store: Path, pooling: str) -> None:
    """Not that of the stages behind it: all poolings are equally wide."""
    body = {"inputs": ["a warm and funny film"], "model": "classify-backward", "pooling": pooling}
    (result,) = post(client, "embed", body)["results"]
    assert len(result["embedding"]) == 8
    assert open_shipped(store, "classify-backward/1").manifest.architecture.encoder.summary_size == 8
    assert torch.tensor(result["embedding"]).isfinite().all()


def test_the_list_of_models_describes_them(client: httpx.Client) -> None:
    described = {model["name"]: model["architecture"] for model in client.get("/v1/models").json()["models"]}
    assert described["classify-convolutions"].startswith(
        "convolution 3 x 8, max of 2 steps, scale and shift, layer normalisation, bidirectional LSTM-8 encoder over"
    )
    assert described["window-padded"].endswith(f"language model over the last {WINDOW} tokens")
