"""Overload, and no engine: requests are refused at once, with the time of the next attempt."""

import json
import select
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import openai
import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from openai import OpenAI

from app.main import create_app
from app.settings import Settings
from tests.conftest import serving, wait_until_ready

MOST = 4


@pytest.fixture(scope="module")
def busy(tiny_store: Path, engine_endpoint: str) -> Iterator[str]:
    """A service that accepts only `MOST` inputs at a time."""
    with serving(create_app(Settings(store=tiny_store, max_pending=MOST), engines=[engine_endpoint])) as address:
        wait_until_ready(address)
        yield address


@pytest.fixture(scope="module")
def deserted(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service whose engine never starts."""
    nobody = f"ipc://{tmp_path_factory.mktemp('nobody')}/socket"
    with serving(create_app(Settings(store=tiny_store), engines=[nobody])) as address:
        yield address


def test_more_than_accepted_is_refused_while_others_are_answered(busy: str, endless: str) -> None:
    """Twelve requests at once, each as large as the limit: every admitted one gets all its results."""
    client = httpx.Client(base_url=busy, timeout=60)

    def ask(_: int) -> httpx.Response:
        return client.post("/v1/translate", json={"inputs": [endless] * MOST, "max_tokens": 4000})

    with client, ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(ask, range(12)))
    answered = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(answered) + len(refused) == 12
    assert answered
    assert refused
    for answer in answered:
        assert len(answer.json()["results"]) == MOST
    for answer in refused:
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"] == "/problems/overloaded"
        assert f"limits: {MOST} pending inputs" in answer.json()["detail"]
    lines = httpx.get(f"{busy}/metrics").text.splitlines()
    assert f'unroll_refusals_total{{reason="overloaded"}} {len(refused)}.0' in lines


def test_what_was_accepted_makes_room_when_it_is_answered_or_refused(busy: str) -> None:
    full = {"inputs": ["a good film"] * MOST}
    for _ in range(3):
        assert httpx.post(f"{busy}/v1/sentiment", json=full).status_code == 200
        assert httpx.post(f"{busy}/v1/sentiment", json=full | {"inputs": [""] * MOST}).status_code == 422
        assert httpx.post(f"{busy}/v1/sentiment", json=full | {"model": "nobody"}).status_code == 404


def test_hang_up_makes_room(busy: str, endless: str) -> None:
    """A client that disconnects during its request counts as 499, and its inputs are free again."""
    body = json.dumps({"inputs": [endless] * MOST, "max_tokens": 4000}).encode()
    head = (
        f"POST /v1/translate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    address = urlsplit(busy)
    with httpx.Client(base_url=busy, timeout=60) as client:

        def status() -> int:
            return client.post("/v1/sentiment", json={"inputs": "a good film"}).status_code

        def failures() -> list[str]:
            lines = client.get("/metrics").text.splitlines()
            mine = [line for line in lines if line.startswith('unroll_http_requests_total{route="/v1/translate"')]
            return [line for line in mine if '"200"' not in line and '"429"' not in line]

        assert not failures()
        running = False
        while not running:  # refused while the other one is answered, and sent again
            with socket.create_connection((address.hostname, address.port)) as connection:
                connection.sendall(head.encode() + body)
                while not running and not select.select([connection], [], [], 0)[0]:
                    running = status() == 429
        while status() == 429:
            pass  # until the service notices the disconnect
        while not failures():
            pass
        assert failures() == ['unroll_http_requests_total{route="/v1/translate",status="499"} 1.0']


def test_request_that_could_never_be_accepted_is_not_told_to_come_again(busy: str) -> None:
    answer = httpx.post(f"{busy}/v1/sentiment", json={"inputs": ["a"] * (MOST + 1)})
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/too-many-inputs"
    assert answer.json()["limit"] == MOST


@pytest.mark.parametrize("path", ["/v1/sentiment", "/v1/translate"])
def test_without_an_engine_nothing_is_accepted(deserted: str, path: str) -> None:
    answer = httpx.post(f"{deserted}{path}", json={"inputs": "a good film"})
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["type"] == "/problems/not-ready"
    assert answer.json()["status"] == 503
    assert "/readyz" in answer.json()["detail"]


def test_clients_of_other_interfaces_are_told_the_same(deserted: str) -> None:
    with (
        OpenAI(base_url=f"{deserted}/v1", api_key="x", max_retries=0) as client,
        pytest.raises(openai.InternalServerError, match="no engine is ready") as refusal,
    ):
        client.completions.create(model="lm-en", prompt="a")
    assert (refusal.value.status_code, refusal.value.type, refusal.value.code) == (503, "server_error", "not_ready")
    with pytest.raises(HfHubHTTPError, match="no engine is ready") as error:
        InferenceClient(f"{deserted}/hf/text-classification/sentiment-en").text_classification("a")
    assert int(error.value.response.headers["retry-after"]) >= 1


def test_health_without_an_engine(deserted: str) -> None:
    assert httpx.get(f"{deserted}/healthz").status_code == 200
    readiness = httpx.get(f"{deserted}/readyz")
    assert readiness.status_code == 503
    assert readiness.json()["engines_ready"] == 0
    assert readiness.json()["status"] == "starting"
    assert httpx.get(f"{deserted}/v1/models").status_code == 200
