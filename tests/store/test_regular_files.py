"""Whether a file that cannot be read is at fault itself: another try may read one that the machine fails to read."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.errors import FileDamaged, FileUnreadable
from app.store.regular_files import read_whole


@contextmanager
def no_descriptor_free() -> Iterator[None]:
    """This process can open no further file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    probe = os.open("/dev/null", os.O_RDONLY)
    os.close(probe)
    resource.setrlimit(resource.RLIMIT_NOFILE, (probe, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_process_without_free_descriptors_can_read_it_later(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    with no_descriptor_free(), pytest.raises(FileUnreadable, match="file cannot be read: Too many open files"):
        read_whole(path, root=tmp_path, limit=100)
    assert read_whole(path, root=tmp_path, limit=100) == b"content"


def test_an_error_while_it_is_read_is_no_damage() -> None:
    with pytest.raises(FileUnreadable, match="mem cannot be read: Input/output error"):
        read_whole(Path("/proc/self/mem"), root=Path("/proc/self"), limit=100)  # its first page is nobody's


def test_a_file_that_is_not_there_is_damage(tmp_path: Path) -> None:
    with pytest.raises(FileDamaged, match="file cannot be read: No such file"):
        read_whole(tmp_path / "file", root=tmp_path, limit=100)
