"""Cores and memory that this process may use, as limited by control groups (cgroups) of version 1 or 2.

A container sees all cores and all memory of its machine; only its control group states its limits.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

_MEMBERSHIP = Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")


def available_cores(membership: Path = _MEMBERSHIP, groups: Path = _GROUPS) -> int:
    """Usable cores, at least 1: the smaller of CPU affinity and control group quota, rounded down."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for folder, unified in _folders("cpu", membership, groups):
        with suppress(OSError, ValueError):  # no file, or the value "max"
            if unified:
                quota, period = map(int, (folder / "cpu.max").read_text().split())
            else:
                quota, period = (int((folder / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
            if quota > 0:  # -1 means no quota
                cores = min(cores, quota // period)
    return max(1, cores)


def available_memory(membership: Path = _MEMBERSHIP, groups: Path = _GROUPS) -> int:
    """Bytes that this process and its children may use: the smaller of physical memory and control group limit."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for folder, unified in _folders("memory", membership, groups):
        with suppress(OSError, ValueError):
            memory = min(memory, int((folder / ("memory.max" if unified else "memory.limit_in_bytes")).read_text()))
    return memory


def _folders(controller: str, membership: Path, groups: Path) -> Iterator[tuple[Path, bool]]:
    """Folders of the process' control group and of its ancestors, each with whether it is of version 2.

    The limit of every ancestor applies. Inside a container the path may not exist: there its own group is the root.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = groups / controller if controllers else groups
        own = PurePosixPath(path)
        for group in (own, *own.parents):
            yield root / group.relative_to("/"), not controllers
