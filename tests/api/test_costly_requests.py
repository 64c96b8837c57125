"""Requests that would hold up all others: refused by what they cost, before an engine has them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import serving_store


@pytest.fixture(scope="module")
def tight(number_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a service with low limits."""
    limits: dict[str, Any] = {"max_pending_steps": 3000, "max_whole_steps": 40, "max_window_numbers": 1000}
    folder = tmp_path_factory.mktemp("costly")
    with serving_store(number_store, folder, **limits) as address, httpx.Client(base_url=address) as client:
        yield client


def refused(answer: httpx.Response) -> dict[str, Any]:
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["type"]) == (422, "/problems/input-too-long"), problem
    return problem


def test_a_horizon_counts_once_for_each_step_of_its_window(tight: httpx.Client) -> None:
    body: dict[str, Any] = {"inputs": [1.0] * 6, "model": "forecast-window"}
    problem = refused(tight.post("/v1/forecast", json=body | {"horizon": 501}))
    assert problem["detail"] == (
        "the inputs up to inputs[0] need about 3006 cell steps, a window of 6 steps read for each step of a horizon of "
        "501; the limit of a request is 3000 (max_pending_steps): send fewer or shorter inputs, or set a smaller "
        "horizon"
    )
    assert (problem["input"], problem["limit"]) == (0, 3000)
    several = tight.post("/v1/forecast", json=body | {"inputs": [[1.0] * 6] * 3, "horizon": 200})
    assert refused(several)["input"] == 2
    assert tight.post("/v1/forecast", json=body | {"horizon": 500}).status_code == 200


def test_what_is_pending_does_not_stay_after_a_refusal(tight: httpx.Client) -> None:
    refused(tight.post("/v1/forecast", json={"inputs": [1.0] * 6, "model": "forecast-window", "horizon": 9000}))
    assert "unroll_pending_steps 0.0" in tight.get("/metrics").text


@pytest.mark.parametrize(
    ("model", "divisible"), [("classify-series", False), ("forecast-state", True), ("forecast-decoder", True)]
)
def test_a_series_that_is_read_as_a_whole_has_a_limit(tight: httpx.Client, model: str, divisible: bool) -> None:
    path = "/v1/classify" if model.startswith("classify") else "/v1/forecast"
    width = 3 if model == "forecast-decoder" else 2
    for steps in (40, 41):
        answer = tight.post(path, json={"inputs": [[1.0] * width] * steps, "model": model})
        if divisible or steps == 40:
            assert answer.status_code == 200, answer.text
        else:
            assert "of at most 40 steps (max_whole_steps): send the last ones" in refused(answer)["detail"]


def test_a_text_that_is_read_in_both_directions_has_a_limit(tight: httpx.Client) -> None:
    for words in (["a"] * 100, " ".join(["a"] * 100)):
        assert "the limit of tag-tiny is 40" in refused(tight.post("/v1/tag", json={"inputs": [words]}))["detail"]
    assert tight.post("/v1/tag", json={"inputs": " ".join(["a"] * 10)}).status_code == 200


def test_padding_counts_as_numbers(tight: httpx.Client) -> None:
    body: dict[str, Any] = {"model": "forecast-window", "horizon": 1}
    problem = refused(tight.post("/v1/forecast", json=body | {"inputs": [[[1.0]]] * 167}))
    assert "inputs[166] have 1002 numbers in windows" in problem["detail"]
    assert tight.post("/v1/forecast", json=body | {"inputs": [[[1.0]]] * 166}).status_code == 200
