"""A load that fails because of the engine, not of the version: it can be tried again."""

import resource
import shutil
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from app.models.networks import build_network
from app.store.classifier import Classifier
from app.store.manifest import Manifest
from tests.conftest import wait_until_ready
from tests.service.serving import Served, serving
from tests.service.versions import KEY, Admin, put_version
from training.cards import CardText
from training.publish import publish

NAME = "sentiment-en"
PATHS = (f"/v1/models/{NAME}/load", f"/v2/repository/models/{NAME}/load")


@pytest.fixture
def served(tiny_store: Path, tmp_path: Path) -> Iterator[Served]:
    shutil.copytree(tiny_store / NAME, tmp_path / NAME)
    with serving(tmp_path, "--engines", "1", "--admin-key", KEY) as served:
        put_version(tmp_path, NAME, 2)
        put_version(tmp_path, NAME, 3, shape=9)
        yield served


def load(served: Served, path: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {KEY}"}
    body = {"version": 2} if path.startswith("/v1") else {"parameters": {"version": 2}}
    return httpx.post(f"{served.address}{path}", json=body, headers=headers)


def version_of(served: Served) -> int:
    answer = httpx.post(f"{served.address}/v1/sentiment", json={"inputs": "a film"})
    version: int = answer.json()["results"][0]["version"]
    return version


def broken(served: Served) -> dict[str, str]:
    listed = httpx.get(f"{served.address}/v1/models").json()["broken"]
    return {item["model"]: item["reason"] for item in listed}


@pytest.mark.parametrize("path", PATHS)
def test_an_engine_that_ends_during_a_load(served: Served, path: str) -> None:
    for seconds in (0.5, 2, 8, 32):  # until the load has reached the engine before it ends
        (engine,) = served.engines()
        engine.send_signal(signal.SIGSTOP)  # the load cannot end before the engine does
        with ThreadPoolExecutor(1) as pool:
            loading = pool.submit(load, served, path)
            time.sleep(seconds)
            engine.kill()  # as the kernel does when memory is short
            answer = loading.result()
        if "no engine is ready" not in answer.text:
            break
        wait_until_ready(served.address)
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/not-ready")
    assert int(answer.headers["retry-after"]) >= 1
    reason = "an engine ended while it loaded it; the system may have killed it for its memory"
    assert answer.json()["detail"].startswith(f"{NAME}/2 is not loaded: {reason}")
    assert broken(served) == {f"{NAME}/2": reason}
    assert version_of(served) == 1  # by the next engine
    assert load(served, path).status_code == 200
    assert broken(served) == {}
    assert version_of(served) == 2
    with Admin(served.address) as admin:  # the version itself is at fault
        refused = admin.load(NAME, 3)
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/load-failed")


def put_large_version(store: Path) -> None:
    """Version 4: the same network with 20 million parameters."""
    first = Manifest.model_validate_json((store / NAME / "1" / "manifest.json").read_bytes())
    assert isinstance(first.architecture, Classifier)
    recurrence = first.architecture.encoder.recurrence.model_copy(update={"hidden_size": 1600})
    encoder = first.architecture.encoder.model_copy(update={"recurrence": recurrence})
    architecture = first.architecture.model_copy(update={"encoder": encoder})
    draft = first.model_copy(update={"version": 4, "architecture": architecture})
    card = CardText("Random weights.", "Answers mean nothing.", "Apache-2.0.")
    publish(build_network(architecture, mean=[], std=[]), store / NAME / "1" / "tokenizer.json", store, draft, card)


@contextmanager
def little_memory(engine: psutil.Process) -> Iterator[None]:
    """An engine that cannot have what the large version needs."""
    before = resource.prlimit(engine.pid, resource.RLIMIT_AS)
    resource.prlimit(engine.pid, resource.RLIMIT_AS, (engine.memory_info().vms + 40 * 2**20, before[1]))
    yield
    resource.prlimit(engine.pid, resource.RLIMIT_AS, before)


def test_an_engine_with_too_little_memory(served: Served, tmp_path: Path) -> None:
    put_large_version(tmp_path)
    (engine,) = served.engines()
    with Admin(served.address) as admin:
        with little_memory(engine):
            answer = admin.load(NAME, 4)
            assert (answer.status_code, answer.json()["type"]) == (503, "/problems/not-ready"), answer.text
            reason = "an engine has too little memory for it: "
            assert answer.json()["detail"].startswith(f"{NAME}/4 is not loaded: {reason}")
            assert version_of(served) == 1
            assert [process.pid for process in served.engines()] == [engine.pid]
        assert admin.load(NAME, 4).status_code == 200
    assert version_of(served) == 4


def test_a_served_version_stays_served_when_a_load_lacks_memory(tiny_store: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_store / NAME, tmp_path / NAME)
    put_large_version(tmp_path)
    (tmp_path / NAME / "default.json").write_text('{"version": 1}')
    with serving(tmp_path, "--engines", "1", "--admin-key", KEY) as served, Admin(served.address) as admin:
        (engine,) = served.engines()
        with little_memory(engine):
            assert admin.load(NAME, 4).status_code == 503
        assert broken(served) == {}
        body = {"inputs": "a film", "model": NAME, "version": 4}
        answer = httpx.post(f"{served.address}/v1/sentiment", json=body)
        assert answer.status_code == 200, answer.text


def test_a_load_during_an_unload_is_not_answered_by_it(served: Served, tmp_path: Path) -> None:
    """The version is damaged meanwhile: the load fails, and a request for the version does not wait for it."""
    assert load(served, PATHS[0]).status_code == 200
    headers = {"Authorization": f"Bearer {KEY}"}
    with ThreadPoolExecutor(1) as pool:
        unloading = pool.submit(
            httpx.post, f"{served.address}/v1/models/{NAME}/unload", json={"version": 2}, headers=headers, timeout=60
        )
        time.sleep(0.15)  # an engine unloads a version after half a second
        weights = tmp_path / NAME / "2" / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-2000] + bytes(2000))
        loaded = load(served, PATHS[0])
        assert unloading.result().status_code == 200
    assert (loaded.status_code, loaded.json()["type"]) == (422, "/problems/load-failed")
    body = {"inputs": "a film", "model": NAME, "version": 2}
    answer = httpx.post(f"{served.address}/v1/sentiment", json=body)
    assert answer.json()["type"] in ("/problems/model-unavailable", "/problems/model-not-found")
    assert version_of(served) == 1
