"""Options that leave no token, or ask for more rows than an engine has, get a clear answer."""

from pathlib import Path

import httpx
import pytest

from app.main import create_app
from app.settings import Settings
from tests.conftest import engine_in_thread, serving, wait_until_ready

TEXT = "save the changes before closing"


@pytest.mark.parametrize(
    "options", [{}, {"beams": 4, "n_best": 4}, {"temperature": 1.0}, {"stream": True}, {"beams": 2, "logprobs": 20}]
)
def test_a_text_ends_when_every_token_is_forbidden(http: httpx.Client, options: dict[str, object]) -> None:
    body = {"inputs": TEXT, "no_repeat_ngram_size": 1, "min_tokens": 1000, "max_tokens": 1000} | options
    answer = http.post("/v1/translate", json=body)
    assert answer.status_code == 200, answer.text
    if options.get("stream"):
        assert '"finish_reason":"stop"' in answer.text
        return
    [result] = answer.json()["results"]
    for sentence in [result, *(result.get("hypotheses", []))]:
        assert sentence["finish_reason"] == "stop"


def test_a_search_wider_than_the_engine_contradicts_its_options(tiny_store: Path, tmp_path: Path) -> None:
    with (
        engine_in_thread(tiny_store, tmp_path, slots=3) as endpoint,
        serving(create_app(Settings(store=tiny_store), engines=[endpoint])) as address,
    ):
        wait_until_ready(address)
        answer = httpx.post(f"{address}/v1/translate", json={"inputs": TEXT, "beams": 4})
        assert answer.status_code == 422
        problem = answer.json()
        assert (problem["type"], problem["options"]) == ("/problems/contradictory-options", ["beams"])
        assert "at most 3" in problem["detail"]
