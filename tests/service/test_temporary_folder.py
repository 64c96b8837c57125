"""The folder for temporary files: full, not writable, with a long path, after a service was killed; missing kernels."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import app
from tests.conftest import PATIENCE
from tests.service.serving import started, until

ADDRESS = r"(?<= on )http://127\.0\.0\.1:\d+"


def command(store: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "app", "serve", "--store", str(store), "--port", "0", "--engines", "1", *options]


@pytest.fixture
def small_disk(short_path: Path) -> Iterator[Path]:
    """A folder on a file system of 64 KiB."""
    folder = short_path / "disk"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.skip("NO MOUNT: this user may not mount a file system, so a full one is NOT tested")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def refused(store: Path, folder: Path, **arguments: object) -> str:
    ended = subprocess.run(
        command(store),
        env=os.environ | {"TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        **arguments,  # type: ignore[call-overload]
    )
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    return str(ended.stderr)


@pytest.mark.slow  # several services are started
def test_a_disk_that_is_too_small(tiny_store: Path, small_disk: Path) -> None:
    words = f"Error: the folder for temporary files, {small_disk}, has no room for 1 MiB (No space left on device): "
    (line,) = refused(tiny_store, small_disk).splitlines()
    assert line.startswith(words)
    assert "TMPDIR" in line


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def test_a_full_disk_is_named_and_another_folder_used(tiny_store: Path, small_disk: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        fill(small_disk / "filling")
    with started(command(tiny_store), ADDRESS, TMPDIR=str(small_disk)) as served:
        (line,) = [line for line in served.log if "temporary files" in line]
        assert f"{small_disk} is full or not writable: temporary files go to /" in line
        assert httpx.post(f"{served.address}/v1/sentiment", json={"inputs": "a"}).status_code == 200


def folder_of(parent: Path, size: int) -> Path:
    """A folder whose path has `size` bytes, some of them in letters of three."""
    folder = parent / "한국"
    folder = folder.with_name(folder.name + "x" * (size - len(os.fsencode(folder))))
    folder.mkdir()
    return folder


def test_a_path_that_is_too_long_for_sockets(tiny_store: Path, short_path: Path) -> None:
    folder = folder_of(short_path, 73)
    (line,) = refused(tiny_store, folder).splitlines()
    assert line.startswith(
        f"Error: the path of the folder for temporary files, {folder}, has 73 bytes; the limit is 72,"
    )
    assert "TMPDIR" in line


@pytest.mark.slow
def test_the_longest_path_is_used(tiny_store: Path, short_path: Path) -> None:
    with started(command(tiny_store), ADDRESS, TMPDIR=str(folder_of(short_path, 72))) as served:
        assert httpx.post(f"{served.address}/v1/sentiment", json={"inputs": "a"}).status_code == 200


def folders(short_path: Path) -> set[str]:
    return {path.name for path in short_path.iterdir()}


@pytest.mark.slow  # several services are started
def test_the_next_service_removes_the_folder_of_a_killed_one(tiny_store: Path, short_path: Path) -> None:
    (short_path / "unroll-of-somebody").mkdir()
    with (
        started(command(tiny_store), ADDRESS, TMPDIR=str(short_path)) as first,
        started(command(tiny_store), ADDRESS, TMPDIR=str(short_path)) as living,
    ):
        both = folders(short_path)
        assert len(both) == 3
        engines = first.engines()
        first.process.kill()
        first.process.wait()
        until(lambda: not any(engine.is_running() for engine in engines))
        assert folders(short_path) == both  # nobody was left to remove it
        with started(command(tiny_store), ADDRESS, TMPDIR=str(short_path)) as third:
            after = folders(short_path)
            assert len(after) == 3
            assert len(after & both) == 2
            for served in (living, third):
                assert httpx.post(f"{served.address}/v1/sentiment", json={"inputs": "a"}).status_code == 200
            third.process.terminate()
            assert third.process.wait(PATIENCE) == 0
        assert folders(short_path) == after & both


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT ROOT: files of another user are NOT tested")
def test_folders_of_other_users_and_locked_ones_are_left_alone(tiny_store: Path, short_path: Path) -> None:
    foreign, locked, dead = (short_path / f"unroll-service-{name}" for name in ("foreign", "locked", "dead"))
    for folder in (foreign, locked, dead):
        folder.mkdir(mode=0o700)
    os.chown(foreign, 65534, 65534)
    held = os.open(locked, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    try:
        with started(command(tiny_store), ADDRESS, TMPDIR=str(short_path)):
            assert foreign.exists()
            assert locked.exists()
            assert not dead.exists()
    finally:
        os.close(held)


@pytest.mark.slow
def test_missing_kernels_are_said_once(tiny_store: Path, tmp_path: Path) -> None:
    """A copy of the package as pip installs it without a C compiler."""
    shutil.copytree(
        Path(app.__file__).parent, tmp_path / "app", ignore=shutil.ignore_patterns("_kernels*", "__pycache__")
    )
    options = ("--engines", "2")
    with started(command(tiny_store, *options), ADDRESS, PYTHONPATH=str(tmp_path), PYTHONSAFEPATH="1") as served:
        assert httpx.post(f"{served.address}/v1/sentiment", json={"inputs": "a"}).status_code == 200
        served.process.terminate()
        log = served.whole_log()
    (line,) = [line for line in log.splitlines() if "kernels" in line]
    assert "the native kernels are not compiled" in line
    assert "install a C compiler" in line
