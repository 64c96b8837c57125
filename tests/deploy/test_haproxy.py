"""A real HAProxy sends requests for a model, and those of a session, to one of three services. Skipped without one."""

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.balancer import balancing
from benchmarks.versions import copies
from tests.api.test_rates import SERVER, redis_at
from tests.conftest import PATIENCE, serving_store
from tests.deploy.manifests import DEPLOY
from tests.sequences import scores, step
from tests.service.serving import until
from tests.tiny_store import drafts, publish_tiny, tiny_tokenizer

needs_haproxy = pytest.mark.skipif(not shutil.which("haproxy"), reason="NO HAPROXY")
MODELS = [f"m{number}" for number in range(12)]
TEXT = "a warm and funny film"


class Replicas:
    """Three services with the same store and secret, each of which can be ended, behind HAProxy."""

    def __init__(self, stack: ExitStack, folder: Path, **settings: Any) -> None:
        (folder / "models").mkdir()
        tokenizer = tiny_tokenizer(folder)
        for draft in drafts():
            if draft.name == "sentiment-en-uni":
                publish_tiny(draft, folder / "store", tokenizer)
        copies(folder / "store" / "sentiment-en-uni" / "1", folder / "models", len(MODELS))
        self.own = [stack.enter_context(ExitStack()) for _ in range(3)]
        self.addresses = [
            own.enter_context(
                serving_store(folder / "models", _made(folder / str(place)), state_secret="shared", **settings)
            )
            for place, own in enumerate(self.own)
        ]
        balancer = stack.enter_context(balancing("haproxy-models", self.addresses, folder))
        self.http = stack.enter_context(httpx.Client(base_url=balancer.address, timeout=PATIENCE))
        until(self._is_up, seconds=PATIENCE)

    def _is_up(self) -> bool:
        try:
            return self.http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def answered(self) -> list[int]:
        """Inputs that each service has answered; -1 for one that has ended."""
        return [_answered(address) for address in self.addresses]

    def place_of(self, path: str, **body: Any) -> int:
        """The service that answers a request."""
        before = self.answered()
        answer = self.http.post(path, json=body)
        assert answer.status_code == 200, answer.text
        (place,) = (place for place, (old, new) in enumerate(zip(before, self.answered(), strict=True)) if new > old)
        return place


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _answered(address: str) -> int:
    try:
        metrics = httpx.get(f"{address}/metrics", timeout=PATIENCE).text
    except httpx.TransportError:
        return -1
    return sum(int(float(value)) for value in re.findall(r"^unroll_inputs_total\{.*\} (\S+)$", metrics, re.MULTILINE))


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    with ExitStack() as stack:
        yield Replicas(stack, tmp_path_factory.mktemp("replicas"))


def _shared(name: str) -> str:
    """The sections for all proxies of a configuration."""
    text = (DEPLOY / f"{name}.cfg").read_text(encoding="utf8")
    return text[text.index("global\n") : text.index("frontend http\n")]


def test_both_configurations_treat_connections_and_health_alike() -> None:
    assert _shared("haproxy") == _shared("haproxy-models")


@needs_haproxy
def test_a_model_has_its_service_wherever_its_name_stands(replicas: Replicas) -> None:
    tensor = {"name": "text_input", "shape": [1], "datatype": "BYTES", "data": [TEXT]}
    places = {}
    for model in MODELS:
        found = {
            replicas.place_of("/v1/sentiment", inputs=TEXT, model=model),
            replicas.place_of(f"/v1/sentiment?model={model}", inputs=TEXT),
            replicas.place_of(f"/v2/models/{model}/infer", inputs=[tensor]),
            replicas.place_of(f"/hf/text-classification/{model}", inputs=TEXT),
        }
        (places[model],) = found
    assert len(set(places.values())) == 3, places


@needs_haproxy
def test_much_work_for_one_model_reaches_other_services_too(replicas: Replicas) -> None:
    """A service has at most 1.5 times the mean of running requests."""
    before = replicas.answered()
    body = {"inputs": [TEXT] * 32, "model": "m3"}
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda _: replicas.http.post("/v1/sentiment", json=body).status_code, range(72)))
    assert answers == [200] * 72
    assert sum(new > old for old, new in zip(before, replicas.answered(), strict=True)) >= 2


@needs_haproxy
def test_requests_without_a_model_go_to_all(replicas: Replicas) -> None:
    assert Counter(replicas.place_of("/v1/sentiment", inputs=TEXT) for _ in range(6)).keys() == {0, 1, 2}


@needs_haproxy
def test_a_session_stays_with_its_service_and_a_carried_state_goes_anywhere(replicas: Replicas) -> None:
    """The service of a session ends: the session is lost and says so, another one begins, and states go on."""
    session = {"model": "m1", "session": "talk-1"}
    first = replicas.place_of("/v1/sentiment", inputs="a warm and ", session_start=True, **session)
    for _ in range(3):
        assert replicas.place_of("/v1/sentiment", inputs="funny film ", **session) == first
    sequence = {"sequence_id": 7, "sequence_start": True}
    tensor = {"name": "text_input", "shape": [1], "datatype": "BYTES", "data": ["a warm "]}
    begun = replicas.place_of("/v2/models/m2/infer", inputs=[tensor], parameters=sequence)
    assert replicas.place_of("/v2/models/m2/infer", inputs=[tensor], parameters={"sequence_id": 7}) == begun
    carried = {"inputs": "a warm and ", "model": "m1", "return_state": True}
    state = replicas.http.post("/v1/sentiment", json=carried).json()["results"][0]["state"]
    replicas.own[first].close()
    lost = replicas.http.post("/v1/sentiment", json={"inputs": "funny film ", **session})
    assert (lost.status_code, lost.json()["type"].rpartition("/")[2]) == (409, "session-lost")
    anew = replicas.place_of("/v1/sentiment", inputs="a warm and funny film ", session_start=True, **session)
    assert anew != first
    assert replicas.place_of("/v1/sentiment", inputs="funny film ", **session) == anew
    assert replicas.place_of("/v1/sentiment", inputs="funny film ", state=state) != first
    assert {replicas.place_of("/v1/sentiment", inputs=TEXT, model=model) for model in MODELS} == {0, 1, 2} - {first}


@needs_haproxy
@pytest.mark.skipif(SERVER is None, reason="NO REDIS: sessions behind HAProxy are NOT tested with one")
def test_sessions_and_sequences_in_redis_outlive_the_service_that_had_them(tmp_path: Path) -> None:
    """Services are removed one after the other, each time the one that has read last."""
    pieces = ["a warm and ", "funny ", "film"]
    with ExitStack() as stack:
        redis = stack.enter_context(redis_at(tmp_path / "redis"))
        replicas = Replicas(stack, tmp_path, session_storage=redis)
        session = {"model": "m1", "session": "talk-1"}
        whole = replicas.http.post("/v1/sentiment", json={"inputs": TEXT, "model": "m1"}).json()["results"]
        of_sequence = scores(step(replicas.http, "m1", TEXT))
        places = set()
        for number, piece in enumerate(pieces):
            place = replicas.place_of("/v1/sentiment", inputs=piece, session_start=number == 0, **session)
            sequenced = step(replicas.http, "m1", piece, sequence_id=7, sequence_start=number == 0)
            last = scores(sequenced)
            places.add(place)
            if number < 2:
                replicas.own[place].close()
        assert len(places) == 3
        assert last == pytest.approx(of_sequence, abs=1e-6)
        again = replicas.http.post("/v1/sentiment", json={"inputs": "", "session_end": True, **session})
        assert again.status_code == 200, again.text
        assert again.json()["results"][0]["scores"] == pytest.approx(whole[0]["scores"], abs=1e-6)
