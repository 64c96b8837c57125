"""A hundred versions come and go in a real engine, and its memory does not grow."""

import asyncio
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from app.engine.client import EngineClient
from app.engine.config import EngineConfig
from app.engine.process import EngineProcesses
from app.engine.protocol import Decode, Label, Terms, Tokens
from app.errors import LoadFailed
from tests.service.versions import put_version

CYCLES, WARM_UP = 100, 15
SETTLED = 10  # cycles at each end, of which the smallest figures are compared


@pytest.fixture
def store(tiny_store: Path, tmp_path: Path) -> Path:
    for name in ("sentiment-en", "translate-en-ko", "caption-en"):
        shutil.copytree(tiny_store / name, tmp_path / "store" / name)
    return tmp_path / "store"


@pytest.mark.slow
def test_loads_and_unloads_leave_memory_as_it_was(store: Path) -> None:
    """Every third load fails: the weights do not fit, or a file is damaged."""
    fine = [put_version(store, name, 2) for name in ("sentiment-en", "translate-en-ko", "caption-en")]
    misfit = put_version(store, "sentiment-en", 3, shape=9)
    damaged = put_version(store, "translate-en-ko", 3)
    damaged.joinpath("tokenizer.json").write_text("{}")
    config = EngineConfig(endpoint="", store=str(store))
    engines = EngineProcesses(config, ["cpu"], heartbeat_seconds=30)
    try:
        figures = asyncio.run(come_and_go(engines, [fine[0], fine[1], misfit, fine[2], fine[1], damaged]))
    finally:
        engines.stop()
    before, after = min(figures[:SETTLED]), min(figures[-SETTLED:])
    print(f"{before / 1e6:.2f} MB before, {after / 1e6:.2f} MB after {CYCLES} cycles: {after / before - 1:+.2%}")
    assert after < 1.01 * before


async def come_and_go(engines: EngineProcesses, folders: Sequence[Path]) -> list[int]:
    """Resident memory of the engine after each cycle, without those of the warm-up."""
    process = psutil.Process(engines.pids[0])
    figures = []
    async with EngineClient(engines.endpoints) as client:
        await client.wait_ready(60)
        for cycle in range(WARM_UP + CYCLES):
            folder = folders[cycle % len(folders)]
            key = f"{folder.parent.name}/{folder.name}"
            with suppress(LoadFailed):
                await client.load(key, str(folder))
                assert not key.endswith("/3")
                await use(client, key)
            await client.unload(key, linger=0)
            if cycle >= WARM_UP:
                figures.append(process.memory_info().rss)
    return figures


async def use(client: EngineClient, key: str) -> None:
    """A few requests, so that there is state to free."""
    if key.startswith("sentiment"):
        await client.answer(key, Tokens([5, 6, 7] * 20), Label(), Terms())
    elif key.startswith("translate"):
        emits = [Decode(60, beams=beams) for beams in (1, 4)]
        await asyncio.gather(*(client.answer(key, Tokens([9] * 30), emit, Terms()) for emit in emits))
