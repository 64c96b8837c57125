"""What a control group leaves of a machine, from trees as the kernel shows them, of both versions."""

import os
from pathlib import Path

import pytest

from app.engines import engines_that_fit
from app.machine import available_cores, available_memory
from app.store.stores import FolderStore

CORES = len(os.sched_getaffinity(0))
MEMORY = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
MEBI = 2**20


@pytest.fixture
def membership(tmp_path: Path) -> Path:
    return tmp_path / "cgroup"


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
    store = FolderStore(tiny_store)
    assert engines_that_fit(100 * MEBI, store, front_ends=1) == 0
    assert engines_that_fit(1024 * MEBI, store, front_ends=1) == 3
    assert engines_that_fit(1024 * MEBI, store, front_ends=2) == 2
    assert engines_that_fit(1024 * MEBI, store, front_ends=4) == 0
    assert engines_that_fit(1024 * MEBI, FolderStore(Path("model_store")), front_ends=1) == 1  # models need room, too
