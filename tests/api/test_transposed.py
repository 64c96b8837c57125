"""A classifier whose recurrence reads a window feature by feature: it has labels, and no explanation."""

from collections.abc import Iterator

import httpx
import pytest

from app.store.block import Block
from app.store.classifier import Classifier
from app.store.encoders import SeriesEncoder
from app.store.recurrence import Recurrence
from app.store.series_input import SeriesInput
from tests.conftest import serving_store
from tests.tiny_numbers import number_drafts
from tests.tiny_store import publish_tiny, tiny_tokenizer

WINDOW = 150  # more than the steps that `explain` reads of other networks
SERIES = [[float(step % 7), 1.0] for step in range(WINDOW)]


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("transposed")
    (draft,) = (draft for draft in number_drafts() if draft.name == "classify-series")
    assert draft.series is not None
    encoder = SeriesEncoder(
        features=2,
        recurrence=Recurrence(cell="lstm", input_size=WINDOW, hidden_size=8),
        branch=(Block(kind="plain", width=4, kernels=(3,)),),
        transposed=WINDOW,
    )
    members = {
        "architecture": Classifier(encoder=encoder, pooling=("last",), labels=3),
        "series": SeriesInput(features=draft.series.features, window=WINDOW),
    }
    publish_tiny(draft.model_copy(update=members), folder / "store", tiny_tokenizer(folder))
    with serving_store(folder / "store", folder) as address, httpx.Client(base_url=address) as client:
        yield client


def test_its_label_cannot_be_explained(http: httpx.Client) -> None:
    answer = http.post("/v1/classify", json={"inputs": SERIES})
    assert answer.status_code == 200, answer.text
    for more in ({}, {"layer": 0}):
        refused = http.post("/v1/classify", json={"inputs": SERIES, "explain": True, **more})
        assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
        problem = refused.json()
        assert (problem["type"], problem["options"]) == ("/problems/contradictory-options", ["explain"])
        assert "reads a window as a whole, feature by feature" in problem["detail"]
        assert "leave out explain" in problem["detail"]
