"""Steps of a sequence of the Open Inference Protocol, as Triton's clients send them."""

from typing import Any

import httpx


def step(http: httpx.Client, model: str, text: str, **sequence: Any) -> httpx.Response:
    """The response to one piece of text; `sequence` are its parameters, such as `sequence_id`."""
    tensor = {"name": "text_input", "shape": [1], "datatype": "BYTES", "data": [text]}
    return http.post(f"/v2/models/{model}/infer", json={"inputs": [tensor], "parameters": sequence})


def scores(answer: httpx.Response) -> list[float]:
    """The probabilities of the labels."""
    assert answer.status_code == 200, answer.text
    (data,) = (output["data"] for output in answer.json()["outputs"] if output["name"] == "scores")
    return [float(score) for score in data]
