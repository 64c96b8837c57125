"""Triton's client lists, loads and unloads versions, on an engine of its own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from pydantic import SecretStr
from tritonclient.http import InferenceServerClient, InferInput
from tritonclient.utils import InferenceServerException

from tests.conftest import serving_store
from tests.service.versions import KEY, put_version

NAME = "sentiment-en"
AUTHORIZED = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture(scope="module")
def store(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two versions of a model, a captioning model, and a broken version."""
    store = tmp_path_factory.mktemp("repository")
    for name in (NAME, "caption-en"):
        shutil.copytree(tiny_store / name, store / name)
    put_version(store, NAME, 2, scale=3)
    shutil.copytree(store / "caption-en" / "1", store / "caption-en" / "2")
    return store


@pytest.fixture(scope="module")
def address(store: Path) -> Iterator[str]:
    with serving_store(store, store, admin_key=SecretStr(KEY)) as address:
        yield address


@pytest.fixture(scope="module")
def triton(address: str) -> Iterator[InferenceServerClient]:
    with InferenceServerClient(address.removeprefix("http://"), network_timeout=100) as client:
        yield client


def states(triton: InferenceServerClient) -> dict[str, str]:
    return {f"{item['name']}/{item['version']}": item["state"] for item in triton.get_model_repository_index()}


def answering(triton: InferenceServerClient, version: str = "") -> str:
    tensor = InferInput("text_input", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([b"a film"], dtype=np.object_))
    answered: str = triton.infer(NAME, [tensor], model_version=version).get_response()["model_version"]
    return answered


def test_index_tells_what_answers_and_why_others_do_not(triton: InferenceServerClient, address: str) -> None:
    index = {f"{item['name']}/{item['version']}": item for item in triton.get_model_repository_index()}
    assert index.keys() == {f"{NAME}/1", f"{NAME}/2", "caption-en/1", "caption-en/2"}
    broken = index["caption-en/2"]
    assert broken["state"] == "UNAVAILABLE"
    assert "lies in caption-en/2" in broken["reason"]
    ready = httpx.post(f"{address}/v2/repository/index", json={"ready": True}).json()
    assert ready == [item for item in index.values() if item is not broken]


def test_one_name_of_the_list_has_what_is_broken_of_it(address: str) -> None:
    whole = httpx.get(f"{address}/v1/models").json()
    captioner = httpx.get(f"{address}/v1/models/caption-en").json()
    assert ([item["version"] for item in captioner["models"]], captioner["broken"]) == ([1], whole["broken"])
    two = httpx.get(f"{address}/v1/models/{NAME}").json()
    assert [(item["version"], item["default_version"]) for item in two["models"]] == [(2, True), (1, False)]
    assert two["broken"] == []


def test_versions_are_those_that_answer(triton: InferenceServerClient) -> None:
    assert triton.get_model_metadata(NAME)["versions"] == ["1", "2"]
    assert [answering(triton), answering(triton, "1"), answering(triton, "2")] == ["2", "1", "2"]
    stats = triton.get_inference_statistics(NAME)["model_stats"]
    assert sorted(model["version"] for model in stats) == ["1", "2"]
    with pytest.raises(InferenceServerException, match="caption-en/2 is in the model store but cannot be used"):
        triton.get_model_metadata("caption-en", "2")
    assert not triton.is_model_ready("caption-en", "2")


def test_a_model_is_unloaded_and_loaded(triton: InferenceServerClient, address: str) -> None:
    triton.unload_model(NAME, headers=AUTHORIZED)
    assert {key: state for key, state in states(triton).items() if key.startswith(NAME)} == {
        f"{NAME}/1": "UNAVAILABLE",
        f"{NAME}/2": "UNAVAILABLE",
    }
    assert not triton.is_model_ready(NAME)
    with pytest.raises(
        InferenceServerException, match=f"{NAME} is in the model store but not served; .* of {NAME}: none"
    ):
        answering(triton)
    with pytest.raises(InferenceServerException, match=f"{NAME}/2 is in the model store but not served"):
        answering(triton, "2")
    with pytest.raises(InferenceServerException, match=f"there is no model {NAME};"):
        answering(triton, "9")
    for path in ("/v1/sentiment", "/v1/complete"):  # of any task
        answer = httpx.post(f"{address}{path}", json={"inputs": "a film", "model": NAME})
        assert answer.status_code == 404
        assert (
            answer.json()["detail"] == f"{NAME} is in the model store but not served; served versions of {NAME}: none"
        )
    triton.load_model(NAME, headers=AUTHORIZED)
    assert answering(triton) == "2"
    assert states(triton)[f"{NAME}/1"] == "UNAVAILABLE"
    with pytest.raises(
        InferenceServerException, match=f"{NAME}/1 is in the model store but not served; .* of {NAME}: 2"
    ):
        answering(triton, "1")
    with pytest.raises(InferenceServerException, match="has no version 9"):
        answering(triton, "9")
    answer = httpx.post(f"{address}/v1/complete", json={"inputs": "a film", "model": NAME})
    assert f"there is no completion model {NAME};" in answer.json()["detail"]


def test_one_version_is_unloaded_and_loaded(triton: InferenceServerClient, address: str) -> None:
    with httpx.Client(base_url=f"{address}/v2/repository/models/{NAME}", headers=AUTHORIZED, timeout=60) as http:
        body = {"parameters": {"version": 1}}
        assert http.post("/load", json=body).json() == {"name": NAME, "load": True}
        assert states(triton)[f"{NAME}/1"] == "READY"
        assert http.post("/unload", json=body).json() == {"name": NAME, "unload": True}
        assert states(triton)[f"{NAME}/1"] == "UNAVAILABLE"
        assert http.post("/load", json=body).status_code == 200


def test_the_key_is_asked_for(triton: InferenceServerClient) -> None:
    for change in (triton.load_model, triton.unload_model):
        for headers in (None, {"Authorization": "Bearer x"}):
            with pytest.raises(InferenceServerException, match="needs an administrator's key") as error:
                change(NAME, headers=headers)
            assert error.value.status() == "401"
    assert states(triton)[f"{NAME}/2"] == "READY"


def test_changes_are_off_without_a_key(server: str) -> None:
    with InferenceServerClient(server.removeprefix("http://")) as triton:
        for change in (triton.load_model, triton.unload_model):
            with pytest.raises(InferenceServerException, match="start the service with UNROLL_ADMIN_KEY") as error:
                change(NAME, headers=AUTHORIZED)
            assert error.value.status() == "403"


def test_what_cannot_be_done_is_told(triton: InferenceServerClient) -> None:
    def refused(words: str, status: str, name: str = NAME, **options: object) -> None:
        with pytest.raises(InferenceServerException, match=words) as error:
            triton.load_model(name, headers=dict(AUTHORIZED), **options)
        assert error.value.status() == status

    refused("the model store has no model nobody", "404", "nobody")
    refused("caption-en/2 cannot be loaded", "422", "caption-en")
    refused("config: is not supported: the manifest of a version is its configuration", "422", config="{}")
    with pytest.raises(InferenceServerException, match="nobody is not served"):
        triton.unload_model("nobody", headers=AUTHORIZED)
    assert states(triton)["caption-en/1"] == "READY"
