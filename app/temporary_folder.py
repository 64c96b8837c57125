"""The folder for temporary files: sockets between processes, the desired state, and large uploads."""

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.errors import NoTemporaryFolder
from app.store.publishing import held_folder

_PREFIX = "unroll-service-"
_NEEDED = 2**20  # bytes
_SOCKET_PATH = 103 if sys.platform == "darwin" else 107  # bytes that the path of a socket may have
_LONGEST = _SOCKET_PATH - len(f"/{_PREFIX}12345678/engine-999")  # of the folder's path
_VARIABLES = ("TMPDIR", "TEMP", "TMP")  # Python uses the first one whose folder can be written
_ADVICE = "free space or name another folder in TMPDIR; in a container with a read-only root, mount one (--tmpfs /tmp)"

log = logging.getLogger("unroll.processes")


def check_temporary_folder() -> None:
    """Warn if temporary files go to another folder than expected. Raises NoTemporaryFolder."""
    expected = next((os.environ[name] for name in _VARIABLES if os.environ.get(name)), "/tmp")
    try:
        folder = tempfile.gettempdir()
    except FileNotFoundError:
        raise NoTemporaryFolder(
            f"no folder for temporary files is writable ({expected} and the usual ones are full or read-only), and the "
            f"processes need one for their sockets: {_ADVICE}"
        ) from None
    if (size := len(os.fsencode(folder))) > _LONGEST:
        raise NoTemporaryFolder(
            f"the path of the folder for temporary files, {folder}, has {size} bytes; the limit is {_LONGEST}, "
            "since paths of sockets are limited: name another folder in TMPDIR, such as a symbolic link to this one"
        )
    try:
        with tempfile.TemporaryFile() as file:
            file.write(bytes(_NEEDED))
            file.flush()
    except OSError as error:
        raise NoTemporaryFolder(
            f"the folder for temporary files, {folder}, has no room for {_NEEDED // 2**20} MiB "
            f"({error.strerror}): {_ADVICE}"
        ) from error
    if Path(folder).resolve() != Path(expected).resolve():
        log.warning("%s is full or not writable: temporary files go to %s", expected, folder)


@contextmanager
def service_folder() -> Iterator[Path]:
    """A private folder of one service, removed at the end of the block. First, the folders of killed services of this
    user are removed: a living service holds a lock on its own."""
    with held_folder(Path(tempfile.gettempdir()), _PREFIX) as folder:
        yield folder
