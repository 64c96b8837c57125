"""Processes of one machine bring the same copy of a store at a URL up to date."""

import subprocess
import sys
from pathlib import Path

from app.store.listing import version_folders
from app.store.model_store import open_version
from tests.conftest import PATIENCE

UPDATE = """
import sys
from pathlib import Path
from app.store.remote import RemoteStore
RemoteStore(sys.argv[1], Path(sys.argv[2])).update()
"""


def test_processes_that_copy_at_the_same_time_do_not_disturb_each_other(tiny_store: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", UPDATE, f"file://{tiny_store}", str(tmp_path / "cache")]
    started = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    assert [process.communicate(timeout=PATIENCE)[1] for process in started] == [""] * 4
    (copy,) = (tmp_path / "cache").iterdir()
    folders = version_folders(copy)
    assert folders.keys() == version_folders(tiny_store).keys()
    for folder in folders.values():
        open_version(folder)
