"""Fifty versions come and go in a real service, and the memory of its front end does not grow."""

import shutil
from pathlib import Path

import httpx
import psutil
import pytest

from tests.service.serving import serving
from tests.service.versions import KEY, Admin, put_version

NAME = "sentiment-en"
ROUNDS, WARM_UP, VERSIONS = 5, 2, range(2, 12)
SETTLED = 2  # rounds at each end, of which the smallest figures are compared


@pytest.fixture
def store(tiny_store: Path, tmp_path: Path) -> Path:
    """Ten versions, every third of them broken."""
    shutil.copytree(tiny_store / NAME, tmp_path / NAME)
    shutil.copytree(tiny_store / "translate-en-ko", tmp_path / "translate-en-ko")
    for version in VERSIONS:
        put_version(tmp_path, NAME, version, shape=9 if version % 6 == 0 else None)
        if version % 6 == 3:
            tmp_path.joinpath(NAME, str(version), "tokenizer.json").write_text("{}")
    return tmp_path


@pytest.mark.slow
def test_loads_and_unloads_leave_the_front_end_as_it_was(store: Path) -> None:
    with (
        serving(store, "--engines", "1", "--admin-key", KEY) as served,
        Admin(served.address) as admin,
        httpx.Client(base_url=served.address) as client,
    ):
        front_end = psutil.Process(served.process.pid)
        figures = []
        for round_ in range(WARM_UP + ROUNDS):
            for version in VERSIONS:
                status = admin.load(NAME, version).status_code
                assert status == (422 if version % 3 == 0 else 200)
                asked = {"inputs": ["a warm and funny film"] * 4, "model": NAME, "version": version}
                assert client.post("/v1/sentiment", json=asked).status_code == (503 if status == 422 else 200)
            assert admin.unload(NAME).status_code == 200
            if round_ >= WARM_UP:
                figures.append(front_end.memory_info().rss)
    before, after = min(figures[:SETTLED]), min(figures[-SETTLED:])
    print([f"{figure / 1e6:.2f}" for figure in figures])
    assert after < 1.01 * before
