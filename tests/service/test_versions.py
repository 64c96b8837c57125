"""Versions side by side, on a real service: loaded, switched to and unloaded while requests run."""

import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from app.store.publishing import remove_version
from tests.service.serving import Served, metric, serving, until
from tests.service.versions import KEY, Admin, put_version

NAME = "sentiment-en"
ADMIN = ("--admin-key", KEY)
TASKS = {
    "/v1/sentiment": {"inputs": ["a warm and funny film"] * 2},
    "/v1/translate": {"inputs": "do you want to save the changes", "max_tokens": 40},
}


@pytest.fixture
def store(tiny_store: Path, tmp_path: Path) -> Path:
    """A store of its own, with two small models."""
    for name in (NAME, "translate-en-ko"):
        shutil.copytree(tiny_store / name, tmp_path / "store" / name)
    return tmp_path / "store"


def version_of(address: str, **asked: object) -> int:
    answer = httpx.post(f"{address}/v1/sentiment", json={"inputs": "a film", **asked})
    assert answer.status_code == 200, answer.text
    version: int = answer.json()["results"][0]["version"]
    return version


def loaded(address: str, name: str = NAME) -> list[int]:
    models = httpx.get(f"{address}/v1/models").json()["models"]
    return [model["version"] for model in models if model["name"] == name]


class Load:
    """Clients that send requests without a pause, and their responses: (path, status, version) and time."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._stop = threading.Event()
        self.answers: list[tuple[float, str, int, int]] = []
        self.slowest = 0.0
        self._threads = [threading.Thread(target=self._ask, args=(path,)) for path in (*TASKS, *TASKS)]

    def _ask(self, path: str) -> None:
        with httpx.Client(base_url=self._address) as client:
            while not self._stop.is_set():
                began = time.monotonic()
                answer = client.post(path, json=TASKS[path])
                results = answer.json().get("results", [{"version": 0}])
                self.answers.append((time.monotonic(), path, answer.status_code, results[0]["version"]))
                self.slowest = max(self.slowest, time.monotonic() - began)

    def versions(self, path: str) -> list[int]:
        return [version for _, asked, _, version in sorted(self.answers) if asked == path]

    def so_far(self) -> int:
        return len(self.answers)

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        until(lambda: self.so_far() > 20)
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


@contextmanager
def administered(store: Path, *options: str) -> Iterator[tuple[Served, Admin]]:
    with serving(store, *ADMIN, *options) as served, Admin(served.address) as admin:
        yield served, admin


@pytest.mark.parametrize(
    "options", [("--engines", "1", "--workers", "2"), pytest.param(("--engines", "2"), marks=pytest.mark.slow)]
)
def test_no_request_fails_while_versions_come_and_go(store: Path, options: tuple[str, ...]) -> None:
    with administered(store, *options) as (served, admin), Load(served.address) as load:
        for name in (NAME, "translate-en-ko"):
            put_version(store, name, 2)
            answer = admin.load(name)
            assert (answer.status_code, answer.json()) == (200, {"name": name, "version": 2, "default_version": 2})
        switched = time.monotonic()
        until(lambda: sum(at > switched for at, *_ in load.answers) > 40)
        for name in (NAME, "translate-en-ko"):
            answer = admin.unload(name, 1)
            assert (answer.status_code, answer.json()) == (200, {"name": name, "versions": [1]})
        before = load.so_far()
        until(lambda: load.so_far() > before + 40)
    assert Counter(status for _, _, status, _ in load.answers).keys() == {200}
    for path in TASKS:
        versions = load.versions(path)
        assert set(versions) == {1, 2}
        late = [version for at, asked, _, version in load.answers if asked == path and at > switched + load.slowest]
        assert set(late) == {2}
    print(f"{len(load.answers)} answers, slowest {load.slowest:.3f} s")


@pytest.mark.slow  # several services are started
def test_a_failed_load_leaves_the_old_version_serving(store: Path) -> None:
    with administered(store, "--engines", "2") as (served, admin), Load(served.address) as load:
        put_version(store, NAME, 2, shape=9)
        damaged = put_version(store, NAME, 3)
        damaged.joinpath("tokenizer.json").write_text("{}")
        for version, reason in ((2, "output.bias of shape (9,)"), (3, "tokenizer.json does not have the SHA-256")):
            answer = admin.load(NAME, version)
            assert (answer.status_code, answer.json()["type"]) == (422, "/problems/load-failed")
            assert reason in answer.json()["detail"]
            named = httpx.post(
                f"{served.address}/v1/sentiment", json={"inputs": "a", "model": NAME, "version": version}
            )
            assert (named.status_code, named.json()["type"]) == (503, "/problems/model-unavailable")
        broken = {item["model"] for item in httpx.get(f"{served.address}/v1/models").json()["broken"]}
        assert broken == {f"{NAME}/2", f"{NAME}/3"}
        assert loaded(served.address) == [1]
        remove_version(store / NAME / "2")
        put_version(store, NAME, 2)
        assert admin.load(NAME, 2).status_code == 200
        assert loaded(served.address) == [2, 1]
        until(lambda: version_of(served.address) == 2)
    assert {status for _, _, status, _ in load.answers} == {200}


@pytest.mark.slow
def test_the_default_version_answers_and_is_kept_in_the_store(store: Path) -> None:
    put_version(store, NAME, 2)
    with administered(store, "--engines", "1", "--workers", "2") as (served, admin):
        for version in (1, 2, 1):
            answer = admin.choose(NAME, version)
            assert (answer.status_code, answer.json()) == (200, {"name": NAME, "version": version})
            with httpx.Client(base_url=served.address, headers={"Connection": "close"}) as client:
                answers = [client.post("/v1/sentiment", json={"inputs": "a film"}).json() for _ in range(12)]
            assert {answer["results"][0]["version"] for answer in answers} == {version}
        assert version_of(served.address, model=NAME, version=2) == 2
        models = httpx.get(f"{served.address}/v1/models").json()["models"]
        assert [(model["version"], model["default_version"]) for model in models if model["name"] == NAME] == [
            (1, True),
            (2, False),
        ]
        put_version(store, NAME, 3)
        assert admin.load(NAME).json() == {"name": NAME, "version": 3, "default_version": 1}
        unknown = admin.choose(NAME, 7)
        assert (unknown.status_code, unknown.json()["type"]) == (404, "/problems/model-not-found")
    with administered(store, "--engines", "1") as (served, admin):
        assert version_of(served.address) == 1
        assert admin.choose(NAME, None).json() == {"name": NAME, "version": 3}
        assert version_of(served.address) == 3
        assert not (store / NAME / "default.json").exists()


@pytest.mark.slow  # several services are started
def test_two_workers_agree_at_once(store: Path) -> None:
    with administered(store, "--engines", "1", "--workers", "2") as (served, admin):
        commands = [" ".join(worker.cmdline()) for worker in served.workers()]
        assert len(commands) == 2
        assert not any(KEY in command for command in commands)
        for version in range(2, 6):
            put_version(store, NAME, version)
            assert admin.load(NAME).status_code == 200
            with httpx.Client(base_url=served.address, headers={"Connection": "close"}) as client:
                for _ in range(10):
                    asked = {"inputs": "a film", "model": NAME, "version": version}
                    assert client.post("/v1/sentiment", json=asked).status_code == 200
                    assert client.post("/v1/sentiment", json={"inputs": "a"}).json()["results"][0]["version"] == version
            assert admin.unload(NAME, version - 1).status_code == 200
            with httpx.Client(base_url=served.address, headers={"Connection": "close"}) as client:
                assert {tuple(loaded(served.address)) for _ in range(6)} == {(version,)}


@pytest.mark.slow
def test_an_engine_that_is_killed_comes_back_with_what_is_wanted_now(store: Path) -> None:
    with administered(store, "--engines", "2") as (served, admin):
        put_version(store, NAME, 2)
        assert admin.load(NAME).status_code == 200
        assert admin.unload(NAME, 1).status_code == 200
        with Load(served.address) as load:
            for engine in served.engines():
                engine.send_signal(signal.SIGKILL)
            until(lambda: metric(served.address, "unroll_engine_restarts_total") == 2)
            until(lambda: metric(served.address, "unroll_engines_ready") == 2)
            before = load.so_far()
            until(lambda: load.so_far() > before + 20)
        assert {status for _, _, status, _ in load.answers} == {200}
        assert set(load.versions("/v1/sentiment")) == {2}
        assert httpx.get(f"{served.address}/readyz").json()["models"] == [f"{NAME}/2", "translate-en-ko/1"]


def test_unloading_lets_running_requests_end(store: Path) -> None:
    long = {"inputs": "save the changes before closing", "min_tokens": 4000, "max_tokens": 4000}
    with administered(store, "--engines", "1") as (served, admin):
        answers: list[httpx.Response] = []
        asking = threading.Thread(
            target=lambda: answers.append(httpx.post(f"{served.address}/v1/translate", json=long))
        )
        asking.start()
        until(lambda: metric(served.address, "unroll_engine_running") == 1)
        assert admin.unload("translate-en-ko").json() == {"name": "translate-en-ko", "versions": [1]}
        asking.join()
        assert answers[0].status_code == 200
        gone = httpx.post(f"{served.address}/v1/translate", json={"inputs": "save"})
        assert (gone.status_code, gone.json()["type"]) == (404, "/problems/model-not-found")
        assert admin.unload("translate-en-ko").status_code == 404
        assert admin.load("translate-en-ko").status_code == 200
        assert httpx.post(f"{served.address}/v1/translate", json={"inputs": "save"}).status_code == 200


def test_the_store_is_watched(store: Path) -> None:
    with administered(store, "--engines", "1", "--workers", "2", "--watch-seconds", "0.2") as (served, admin):
        put_version(store, NAME, 2)
        until(lambda: version_of(served.address) == 2)
        put_version(store, NAME, 3, shape=9)
        until(
            lambda: any(f"{NAME}/3" == item["model"] for item in httpx.get(f"{served.address}/readyz").json()["broken"])
        )
        assert version_of(served.address) == 2
        shutil.rmtree(store / NAME / "3")
        until(lambda: not httpx.get(f"{served.address}/readyz").json()["broken"])
        shutil.rmtree(store / NAME / "2")
        until(lambda: loaded(served.address) == [1])
        until(lambda: version_of(served.address) == 1)  # the other front end follows a moment later
        put_version(store, NAME, 4)
        until(lambda: loaded(served.address) == [4, 1])
        assert admin.unload(NAME, 4).status_code == 200
        time.sleep(0.6)  # a version that an administrator unloaded is not loaded again
        assert loaded(served.address) == [1]


@pytest.mark.slow  # several services are started
def test_with_a_wrong_key_nothing_can_be_changed(store: Path, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    paths = (("POST", "load"), ("POST", "unload"), ("PUT", "default"))
    with serving(store, "--engines", "1", "--workers", "2", "--admin-key-file", str(file)) as served:
        for method, path in paths:
            for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {KEY}"}):
                answer = httpx.request(
                    method, f"{served.address}/v1/models/{NAME}/{path}", json={"version": 1}, headers=header
                )
                assert (answer.status_code, answer.json()["type"]) == (401, "/problems/wrong-key")
                assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        with Admin(served.address) as admin:
            assert admin.load(NAME).json()["version"] == 1
            for name, version in (("nothing", None), (NAME, 9)):
                answer = admin.load(name, version)
                assert (answer.status_code, answer.json()["type"]) == (404, "/problems/model-not-found")
            assert admin.choose(NAME, 0).status_code == 422
