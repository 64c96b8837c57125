"""What of this machine the process may use: control groups, of both versions, take away from what there is.

Containers see all cores and all memory of their machine; what they may have is told by their control group alone.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

_MEMBERSHIP = Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")


def available_cores(membership: Path = _MEMBERSHIP, groups: Path = _GROUPS) -> int:
    """Cores that this process may use, 1 at least: its affinity, and the quota of its control group, rounded down."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for folder, unified in _folders("cpu", membership, groups):
        with suppress(OSError, ValueError):  # no such file, or "max"
            if unified:
                quota, period = map(int, (folder / "cpu.max").read_text().split())
            else:
                quota, period = (int((folder / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
            if quota > 0:  # -1 is none
                cores = min(cores, quota // period)
    return max(1, cores)


def available_memory(membership: Path = _MEMBERSHIP, groups: Path = _GROUPS) -> int:
    """Memory that this process and its children may use, in bytes: that of the machine, and the limit of its group."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for folder, unified in _folders("memory", membership, groups):
        with suppress(OSError, ValueError):
            memory = min(memory, int((folder / ("memory.max" if unified else "memory.limit_in_bytes")).read_text()))
    return memory


def _folders(controller: str, membership: Path, groups: Path) -> Iterator[tuple[Path, bool]]:
    """Folders of the process' group and of those around it, as a limit of each holds; whether they are of version 2.

    What is written of them may lie outside of what a container sees of the tree: then it sees its own as the root.
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
