"""A store of many small versions: ready soon, and each answers its first request soon."""

import json
import random
import shutil
import time
from pathlib import Path

import httpx
import psutil
import pytest

from tests.service.serving import serving

COUNT = 500
NAME = "sentiment-en"
READY_SECONDS = 8  # of processor time, in all processes: less than 5 s on two cores that do nothing else
MEAN_SECONDS, MOST_SECONDS = 0.5, 5  # until a first answer; the slowest one may meet other work of the machine


@pytest.fixture
def store(tiny_store: Path, tmp_path: Path) -> Path:
    """Versions of as many names: the default version of each is one more."""
    for number in range(COUNT):
        folder = tmp_path / "store" / f"m{number}" / "1"
        shutil.copytree(tiny_store / NAME / "1", folder)
        manifest = json.loads((folder / "manifest.json").read_text())
        (folder / "manifest.json").write_text(json.dumps(manifest | {"name": f"m{number}", "default": number == 0}))
    return tmp_path / "store"


@pytest.mark.slow
@pytest.mark.parametrize("memory", [(), ("--models-memory", "4000000")])
def test_any_of_500_versions_answers_soon(store: Path, memory: tuple[str, ...]) -> None:
    started = time.monotonic()
    with serving(store, "--engines", "1", *memory) as served, httpx.Client(base_url=served.address, timeout=30) as http:
        ready = time.monotonic() - started
        service = psutil.Process(served.process.pid)
        worked = sum(sum(one.cpu_times()[:2]) for one in (service, *service.children(recursive=True)))
        listed = http.get("/readyz").json()
        assert len(listed["models"]) == COUNT
        seconds = []
        for number in random.Random(1).sample(range(COUNT), 60):
            began = time.monotonic()
            answer = http.post("/v1/sentiment", json={"inputs": "a warm and funny film", "model": f"m{number}"})
            assert answer.status_code == 200, answer.text
            seconds.append(time.monotonic() - began)
        rss = served.engines()[0].memory_info().rss
        print(f"ready after {ready:.1f} s, {worked:.1f} s of work; engine {rss / 1e6:.0f} MB")
        print(f"first answers: slowest {max(seconds):.3f} s, mean {sum(seconds) / len(seconds):.3f} s")
    assert worked < READY_SECONDS
    assert sum(seconds) / len(seconds) < MEAN_SECONDS
    assert max(seconds) < MOST_SECONDS
