"""A large file is hashed once for all processes of a service, in pieces, and again after it has changed."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.store.hashes import Hashes
from app.store.publishing import file_entry

LARGE = 2 * 2**20
MEASURE = """
import sys
from pathlib import Path
from app.store.hashes import sha256_of
from app.store.publishing import file_entry
peak = lambda: next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
before = peak()
with open(sys.argv[1], "rb") as file:
    assert sha256_of(file) == file_entry(Path(sys.argv[1])).sha256
print((peak() - before) * 1024)
"""
ON_A_FULL_DISK = """
import resource, sys
from pathlib import Path
from app.store.hashes import Hashes
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
with open(sys.argv[1], "rb") as file:
    print(Hashes(Path(sys.argv[2])).of(file))
"""


def hashed(hashes: Hashes, path: Path) -> str:
    with path.open("rb") as file:
        return hashes.of(file)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    path.write_bytes(bytes(LARGE))
    return path


def test_another_process_takes_the_hash_that_the_first_one_computed(large: Path, tmp_path: Path) -> None:
    assert hashed(Hashes(tmp_path / "hashes"), large) == sha256(bytes(LARGE))
    (record,) = (tmp_path / "hashes").iterdir()
    record.write_text("f" * 64)  # so that it shows where the next one has its hash from
    assert hashed(Hashes(tmp_path / "hashes"), large) == "f" * 64


def test_a_record_without_a_hash_is_of_a_process_that_ended(large: Path, tmp_path: Path) -> None:
    hashed(Hashes(tmp_path / "hashes"), large)
    (record,) = (tmp_path / "hashes").iterdir()
    record.write_text("")
    assert hashed(Hashes(tmp_path / "hashes"), large) == sha256(bytes(LARGE)) == record.read_text()


@pytest.mark.parametrize("shared", [True, False])
def test_a_file_that_has_changed_is_hashed_again(large: Path, tmp_path: Path, shared: bool) -> None:
    """Also if it has the size and the modification time from before."""
    hashes = Hashes(tmp_path / "hashes" if shared else None)
    hashed(hashes, large)
    before = large.stat()
    large.write_bytes(b"\1" * LARGE)
    os.utime(large, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert hashed(hashes, large) == sha256(b"\1" * LARGE)


def test_small_files_leave_no_records(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.write_bytes(b"a")
    assert hashed(Hashes(tmp_path / "hashes"), small) == sha256(b"a") == file_entry(small).sha256
    assert not list((tmp_path / "hashes").iterdir())


def test_a_file_is_hashed_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(256 * 2**20)
    ran = subprocess.run([sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True)
    assert int(ran.stdout) < 8 * 2**20


def test_a_hash_that_cannot_be_recorded_is_not_shared(large: Path, tmp_path: Path) -> None:
    """The process may write no byte, as on a full disk."""
    command = [sys.executable, "-c", ON_A_FULL_DISK, str(large), str(tmp_path / "hashes")]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == sha256(bytes(LARGE))
    (record,) = (tmp_path / "hashes").iterdir()
    assert record.read_text() == ""
    assert hashed(Hashes(tmp_path / "hashes"), large) == sha256(bytes(LARGE)) == record.read_text()


def test_a_folder_that_cannot_be_made_shares_nothing(large: Path, tmp_path: Path) -> None:
    assert hashed(Hashes(tmp_path / "gone" / "hashes"), large) == sha256(bytes(LARGE))
