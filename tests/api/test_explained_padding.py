"""Explanations of models that pad every text: over HTTP, with padding that is masked and padding that is read."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.store.classifier import Classifier
from app.store.encoders import TextEncoder
from app.store.recurrence import Recurrence
from app.store.text_input import FixedLength, TokenizerUse
from tests.conftest import serving_store
from tests.tiny_kinds import _draft
from tests.tiny_store import VOCABULARY, publish_tiny, tiny_tokenizer
from training.loop import PAD

LENGTH = 200


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("padded")
    tokenizer = tiny_tokenizer(folder)
    for name, mask, directions in (("masked", PAD, 2), ("read", None, 2), ("one-way", PAD, 1)):
        recurrence = Recurrence.model_validate(
            {"cell": "lstm", "input_size": 4, "hidden_size": 4, "directions": directions}
        )
        network = Classifier(
            encoder=TextEncoder(vocabulary_size=VOCABULARY, mask_id=mask, recurrence=recurrence),
            pooling=("last",),
            labels=2,
        )
        use = TokenizerUse(length=FixedLength(to=LENGTH, pad=PAD))
        draft = _draft(name, "classification", network, labels=("bad", "good"), tokenizer=use)
        publish_tiny(draft, folder / "store", tokenizer)
    with (
        serving_store(folder / "store", tmp_path_factory.mktemp("engine")) as address,
        httpx.Client(base_url=address) as client,
    ):
        client.timeout = httpx.Timeout(60)
        yield client


def _explained(http: httpx.Client, model: str, text: str) -> httpx.Response:
    body: dict[str, Any] = {"model": model, "inputs": text, "explain": True}
    return http.post("/v1/classify", json=body)


@pytest.mark.parametrize("model", ["masked", "one-way"])
def test_a_short_text_is_explained(http: httpx.Client, model: str) -> None:
    (result,) = _explained(http, model, "a warm film").raise_for_status().json()["results"]
    rows = result["explanation"]["probabilities"]
    assert len(rows) == LENGTH
    scores = list(result["scores"].values())
    assert rows[-1] == pytest.approx(scores, abs=1e-4)
    assert rows[0] == rows[LENGTH - 30]  # padding alone
    assert len({tuple(row) for row in rows}) > 1


def test_a_refusal_says_what_can_be_explained(http: httpx.Client) -> None:
    """A long text, and a model that reads padding like words."""
    answer = _explained(http, "masked", "a warm film " * 60)
    assert answer.status_code == 422
    assert "(about 40 without padding): shorten the input, or leave out explain" in answer.json()["detail"]
    answer = _explained(http, "read", "a warm film")
    assert answer.status_code == 422
    assert f"read pads every text to {LENGTH} tokens; the limit of explain is 128: leave out" in answer.json()["detail"]
