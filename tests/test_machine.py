"""What a control group leaves of a machine, from trees as the kernel shows them, of both versions."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from app.engine.client import EngineClient
from app.engine.config import EngineConfig
from app.engine.process import EngineProcesses
from app.engine.sizes import needed_bytes
from app.engines import engines_that_fit, models_share
from app.machine import available_cores, available_memory
from app.store.model_store import Version, inspect_version, read_store

CORES = len(os.sched_getaffinity(0))
MEMORY = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
MEBI = 2**20


@pytest.fixture
def membership(tmp_path: Path) -> Path:
    return tmp_path / "cgroup"


def versions_of(store: Path) -> Sequence[Version]:
    return read_store(store, inspect_version).versions


def put(groups: Path, **files: str) -> None:
    groups.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (groups / name.replace("__", ".")).write_text(text)


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("max 100000", CORES), ("150000 100000", 1), ("50000 100000", 1), (f"{CORES}00000 100000", CORES), ("no", CORES)],
)
def test_version_2_tells_both_in_a_container(membership: Path, tmp_path: Path, quota: str, cores: int) -> None:
    membership.write_text("0::/\n")
    put(tmp_path / "groups", cpu__max=quota, memory__max=str(512 * MEBI))
    assert available_cores(membership, tmp_path / "groups") == cores
    assert available_memory(membership, tmp_path / "groups") == 512 * MEBI


def test_version_2_holds_the_limits_of_all_groups_around(membership: Path, tmp_path: Path) -> None:
    membership.write_text("0::/user.slice/session\n")
    put(tmp_path / "groups" / "user.slice" / "session", cpu__max="max 100000", memory__max="max")
    put(tmp_path / "groups" / "user.slice", cpu__max="100000 100000", memory__max=str(900 * MEBI))
    assert available_cores(membership, tmp_path / "groups") == 1
    assert available_memory(membership, tmp_path / "groups") == 900 * MEBI


def test_version_1_has_a_folder_for_each(membership: Path, tmp_path: Path) -> None:
    """As a container sees it that shares the name space of its machine: its path is not below what it sees."""
    membership.write_text("5:cpuacct:/docker/4eb8\n4:memory:/docker/4eb8\n1:cpu:/docker/4eb8\n0::/docker/4eb8\n")
    put(tmp_path / "groups" / "cpu", cpu__cfs_quota_us="100000", cpu__cfs_period_us="100000")
    put(tmp_path / "groups" / "memory", memory__limit_in_bytes=str(300 * MEBI))
    assert available_cores(membership, tmp_path / "groups") == 1
    assert available_memory(membership, tmp_path / "groups") == 300 * MEBI


def test_version_1_without_limits(membership: Path, tmp_path: Path) -> None:
    membership.write_text("2:memory:/\n1:cpu,cpuacct:/\n")
    put(tmp_path / "groups" / "cpu", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    put(tmp_path / "groups" / "memory", memory__limit_in_bytes="9223372036854771712")
    assert available_cores(membership, tmp_path / "groups") == CORES
    assert available_memory(membership, tmp_path / "groups") == MEMORY


def test_a_machine_without_control_groups_has_what_it_has(tmp_path: Path) -> None:
    assert available_cores(tmp_path / "nothing", tmp_path) == CORES
    assert available_memory(tmp_path / "nothing", tmp_path) == MEMORY


def test_engines_are_as_many_as_memory_has_room_for(tiny_store: Path) -> None:
    small = versions_of(tiny_store)
    assert engines_that_fit(100 * MEBI, small, front_ends=1) == 0
    assert engines_that_fit(1024 * MEBI, small, front_ends=1) == 3
    assert engines_that_fit(1024 * MEBI, small, front_ends=2) == 2
    assert engines_that_fit(1024 * MEBI, small, front_ends=4) == 0
    shipped = versions_of(Path("model_store"))
    assert engines_that_fit(1024 * MEBI, shipped, front_ends=1) == 1  # models need room, too
    assert engines_that_fit(1200 * MEBI, shipped, front_ends=1) == 2
    assert engines_that_fit(1024 * MEBI, shipped, front_ends=1, models_memory=20 * MEBI) == 2  # only some are loaded


def test_models_get_half_of_the_rest_and_at_least_the_largest_fits() -> None:
    shipped = versions_of(Path("model_store"))
    assert models_share(2 * 1024 * MEBI, shipped, front_ends=1, engines=2) == (896 - 200) // 2 * MEBI
    assert models_share(300 * MEBI, shipped, front_ends=1, engines=1) == max(map(needed_bytes, shipped))
    assert models_share(300 * MEBI, (), front_ends=1, engines=1) > 0


@pytest.mark.slow  # several engines are started
def test_an_engine_takes_no_more_than_is_counted_for_it() -> None:
    """Its own memory, and that of the shipped models at the peak of loading them."""
    shipped = versions_of(Path("model_store"))
    config = EngineConfig(endpoint="", store="model_store")
    engines = EngineProcesses(config, ["cpu"], heartbeat_seconds=30)
    try:
        peak = asyncio.run(_loaded(engines, len(shipped)))
    finally:
        engines.stop()
    print(f"peak of private memory: {peak / 1e6:.0f} MB")
    assert engines_that_fit(peak, shipped, front_ends=0) == 0
    assert engines_that_fit(3 * peak // 2, shipped, front_ends=0) == 1  # and it is not counted twice


async def _loaded(engines: EngineProcesses, count: int) -> int:
    """The largest private memory of the engine until it has loaded `count` versions."""
    peak = 0
    async with EngineClient(engines.endpoints) as client:
        while len(client.view.precisions) < count:
            peak = max(peak, _private_memory(engines.pids[0]))
            await asyncio.sleep(0.02)
    return peak


def _private_memory(pid: int) -> int:
    """Without the pages of libraries, which other processes share or which can be read again."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("Private_Dirty"))
