"""Whatever a version holds, it is reported with the reason; the others are served, and the watch goes on."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.service.serving import serving, until
from tests.service.versions import put_version
from tests.store.damaged_versions import put_damaged

SOUND = ("caption-en", "lm-en", "sentiment-en", "translate-en-ko")
NEW = 9000  # above the numbers of the damaged versions
MOST_BYTES = 200_000_000


@pytest.fixture(scope="module")
def damaged(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A store with sound and damaged versions, and part of the reason of each damaged one."""
    store = tmp_path_factory.mktemp("damaged") / "store"
    for name in SOUND:
        shutil.copytree(tiny_store / name, store / name)
    expected = put_damaged(store)
    assert len(expected) >= 200
    return store, expected


@pytest.mark.slow
def test_each_damaged_version_is_refused_at_once_and_without_memory(damaged: tuple[Path, dict[str, str]]) -> None:
    store, expected = damaged
    command = [sys.executable, "-m", "tests.store.measure_versions", str(store)]
    measured = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    costs = {row["key"]: row for row in map(json.loads, measured.stdout.splitlines())}
    assert {key for key, row in costs.items() if row["reason"] is None} == {f"{name}/1" for name in SOUND}
    wrong = {key: costs[key]["reason"] for key, reason in expected.items() if reason not in costs[key]["reason"]}
    assert wrong == {}
    slowest = max(costs.values(), key=lambda row: row["work"])
    largest = max(costs.values(), key=lambda row: row["bytes"])
    print(f"{len(expected)} versions; slowest: {slowest}; largest: {largest}")
    assert slowest["work"] < 1
    assert max(row["seconds"] for row in costs.values()) < 10  # none waits; other processes may use the processor
    assert largest["bytes"] < MOST_BYTES


def test_the_sound_versions_beside_them_are_served_and_the_watch_goes_on(
    damaged: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    store, expected = damaged
    options = ("--engines", "1", "--watch-seconds", "0.3", "--log-level", "error")  # nobody reads the log
    with serving(store, *options) as served, httpx.Client(base_url=served.address) as http:
        for path in ("/readyz", "/v1/models"):
            until(lambda path=path: len(http.get(path).json()["broken"]) == len(expected))  # type: ignore[misc]
            reasons = {item["model"]: item["reason"] for item in http.get(path).json()["broken"]}
            assert {key: why for key, why in reasons.items() if expected.get(key, "?") not in why} == {}
            assert reasons.keys() == expected.keys()
        assert http.get("/readyz").json()["models"] == [f"{name}/1" for name in SOUND]
        assert _version_of(http) == 1
        put_version(store, "sentiment-en", NEW)
        until(lambda: _version_of(http) == NEW)
        fresh = store / "sentiment-en" / str(NEW + 1)
        shutil.copytree(store / "sentiment-en" / "2", tmp_path / "2")
        shutil.move(tmp_path / "2", fresh)
        until(lambda: any(item["model"] == f"sentiment-en/{NEW + 1}" for item in http.get("/readyz").json()["broken"]))
        shutil.rmtree(store / "sentiment-en" / str(NEW))
        until(lambda: _version_of(http) == 1)
        assert len(served.engines()) == 1
        started = time.monotonic()
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(timeout=100) == 0
        print(f"ended after {time.monotonic() - started:.1f} s")


def _version_of(http: httpx.Client) -> int:
    answer = http.post("/v1/sentiment", json={"inputs": "a warm and funny film"})
    assert answer.status_code == 200, answer.text
    version: int = answer.json()["results"][0]["version"]
    return version
