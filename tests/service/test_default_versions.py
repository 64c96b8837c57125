"""Requests that name no version are answered although the version that they began with is unloaded."""

import os
import re
import shutil
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.service.serving import Served, metric, serving, until
from tests.service.versions import KEY, Admin, put_version

MODELS = ("sentiment-en", "translate-en-ko", "lm-en")
TENSOR = {"name": "text_input", "shape": [1], "datatype": "BYTES", "data": ["a film"]}
BEGINNING: dict[str, Any] = {"model": "lm-en", "prompt": "the film", "max_tokens": 5, "temperature": 0}
UNNAMED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/v1/sentiment", {"inputs": ["a film", "a warm film"]}),
    ("/v1/sentiment", {"inputs": "a film", "model": "sentiment-en"}),
    ("/v1/translate", {"inputs": "save the file"}),
    ("/v1/translate", {"inputs": "save the file", "stream": True}),
    ("/v1/completions", BEGINNING),
    ("/v1/completions", BEGINNING | {"stream": True}),
    ("/hf/text-classification/sentiment-en", {"inputs": "a film"}),
    ("/hf/text-generation/lm-en", {"inputs": "the film", "stream": True}),
    ("/v2/models/sentiment-en/infer", {"inputs": [TENSOR]}),
    ("/v2/models/lm-en/generate", {"text_input": "the film", "max_tokens": 5}),
    ("/v2/models/lm-en/generate_stream", {"text_input": "the film", "max_tokens": 5}),
)
NAMED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/v1/sentiment", {"inputs": "a film", "model": "sentiment-en", "version": 2}),
    ("/v2/models/sentiment-en/versions/2/infer", {"inputs": [TENSOR]}),
    ("/v1/translate", {"inputs": "save the file", "model": "translate-en-ko", "version": 2, "stream": True}),
)


@pytest.fixture
def store(tiny_store: Path, tmp_path: Path) -> Path:
    """Two versions of three models."""
    for name in MODELS:
        shutil.copytree(tiny_store / name, tmp_path / name)
        put_version(tmp_path, name, 2)
    return tmp_path


@pytest.fixture(params=["1", pytest.param("2", marks=pytest.mark.slow)])
def served(store: Path, request: pytest.FixtureRequest) -> Iterator[Served]:
    with serving(store, "--engines", "1", "--workers", request.param, "--admin-key", KEY) as served:
        yield served


def versions_in(answer: httpx.Response) -> set[str]:
    """The versions that the parts of an answer name."""
    return set(re.findall(r'(?:"version":|"model_version":"|lm-en/)(\d)', answer.text))


def stopped_engine(served: Served) -> psutil.Process:
    (engine,) = served.engines()
    engine.send_signal(signal.SIGSTOP)
    return engine


@pytest.mark.slow
def test_the_version_of_waiting_requests_is_unloaded_and_their_engine_ends(served: Served) -> None:
    """No front end can know that: the engine has the requests, and the next one lacks the version."""
    engine = stopped_engine(served)

    def ask(path: str, body: dict[str, Any]) -> httpx.Response:
        return httpx.post(f"{served.address}{path}", json=body)

    with ThreadPoolExecutor(32) as pool, Admin(served.address) as admin:
        unnamed: list[Future[httpx.Response]] = [pool.submit(ask, path, body) for path, body in UNNAMED]
        named = [pool.submit(ask, path, body) for path, body in NAMED]
        until(lambda: metric(served.address, "unroll_pending_requests") == len(UNNAMED) + len(NAMED))
        unloading = [threading.Thread(target=admin.unload, args=(name, 2)) for name in MODELS]
        for thread in unloading:
            thread.start()
        until(lambda: {model["version"] for model in listed(served)} == {1})
        os.kill(engine.pid, signal.SIGKILL)
        for (path, body), answered in zip(UNNAMED, unnamed, strict=True):
            answer = answered.result()
            assert answer.status_code == 200, (path, body, answer.text)
            assert "error" not in answer.text, (path, body, answer.text)
            assert versions_in(answer) == (set() if path.startswith("/hf") else {"1"}), answer.text
        for (path, body), answered in zip(NAMED, named, strict=True):
            text = answered.result().text
            assert "2 was unloaded before the request reached it; choose another version" in text, (path, body, text)
        for thread in unloading:
            thread.join()


def listed(served: Served) -> list[dict[str, Any]]:
    models: list[dict[str, Any]] = httpx.get(f"{served.address}/v1/models").json()["models"]
    return models
