"""Confinement of the child process: limited time and memory, no network, no other processes, one folder to write to.

Not even a C library such as that of HDF5 opens another file, where the kernel has Landlock."""

import ctypes
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from app.importers.formats.bounds import Bounds
from app.importers.formats.refusals import Refused
from app.importers.untrusted.landlock import only_write_to

_NO_NEW_PRIVILEGES = 38  # PR_SET_NO_NEW_PRIVS of prctl(2)
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG
_NEW_USER, _NEW_NET = 0x10000000, 0x40000000  # CLONE_NEWUSER and CLONE_NEWNET of unshare(2)
_FORBIDDEN = (
    "socket.",
    "subprocess.",
    "os.",
    "pty.",
    "shutil.",
    "ctypes.",
    "compile",
    "exec",
    "marshal.",
    "code.",
    "mmap.",
)


def confine(folder: Path, bounds: Bounds, seconds: int) -> None:
    """Cannot be undone. Skips what the system does not offer; the unpickler does not rely on it."""
    libc = ctypes.CDLL(None, use_errno=True)
    with suppress(OSError, AttributeError):
        libc.unshare(_NEW_USER | _NEW_NET)  # no network; not every system allows it
        libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        libc.prctl(_DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)  # after unshare, which would undo it
    taken = 512 * 1024 * 1024
    with suppress(OSError):
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        only_write_to(folder)
    for limit, value in (
        (resource.RLIMIT_CPU, min(seconds, bounds.seconds)),
        (resource.RLIMIT_AS, taken + bounds.memory),
        (resource.RLIMIT_FSIZE, 2 * bounds.tensors + 64 * 1024 * 1024),
        (resource.RLIMIT_NOFILE, 16),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
    ):
        with suppress(ValueError, OSError):
            resource.setrlimit(limit, (value, value))
    sys.meta_path.clear()  # nothing can be imported any more
    sys.addaudithook(_watch(folder.resolve()))


def _watch(folder: Path) -> Any:
    """An audit hook. It raises Refused on every access outside of the process, except writes into `folder`."""
    beginning = str(folder) + os.sep

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = args
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if writes and not os.path.abspath(str(path)).startswith(beginning):
                raise Refused("it writes a file")
        elif event.startswith(_FORBIDDEN):
            raise Refused(f"it uses {event}")

    return hook
