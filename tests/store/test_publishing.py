"""A version is there whole or not at all, whenever its writer is killed."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.errors import StoreNotWritable, VersionExists
from app.store.listing import list_store
from app.store.model_store import read_store
from app.store.publishing import publishing, remove_version
from app.store.stores import FolderStore

NAME = "translate-en-ko"
WRITER = """
import shutil, sys, time
from pathlib import Path
from app.store.publishing import publishing
store, source, version = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
with publishing(store, "translate-en-ko", version) as folder:
    for name in ("manifest.json", "model.safetensors", "tokenizer.json"):
        shutil.copyfile(source / name, folder / name)
        print(name, flush=True)
        time.sleep(float(sys.argv[4]))
print("done", flush=True)
"""


@pytest.fixture
def store(tiny_store: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny_store / NAME, tmp_path / "store" / NAME)
    return tmp_path / "store"


def writer(store: Path, version: int, *, pause: float) -> subprocess.Popen[str]:
    source = store / NAME / "1"
    command = [sys.executable, "-c", WRITER, str(store), str(source), str(version), str(pause)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def killed_half_way(store: Path, version: int) -> None:
    process = writer(store, version, pause=60)
    assert process.stdout is not None
    assert process.stdout.readline() == "manifest.json\n"
    process.send_signal(signal.SIGKILL)
    process.wait()


def leftovers(store: Path) -> list[str]:
    return sorted(path.name for path in (store / NAME).iterdir() if path.name.startswith("."))


def test_a_writer_killed_half_way_leaves_nothing_to_see(store: Path) -> None:
    before = read_store(store)
    killed_half_way(store, 2)
    assert read_store(store) == before
    assert len(leftovers(store)) == 1


def test_leftovers_go_with_the_next_version_of_the_name(store: Path) -> None:
    killed_half_way(store, 2)
    with publishing(store, NAME, 3) as folder:
        shutil.copytree(store / NAME / "1", folder, dirs_exist_ok=True)
    assert leftovers(store) == []
    assert sorted(path.name for path in (store / NAME).iterdir()) == ["1", "3"]


def test_a_writer_at_work_is_no_leftover(store: Path) -> None:
    process = writer(store, 2, pause=0.4)
    assert process.stdout is not None
    assert process.stdout.readline() == "manifest.json\n"
    with publishing(store, NAME, 3) as folder:
        shutil.copytree(store / NAME / "1", folder, dirs_exist_ok=True)
    assert process.wait(100) == 0
    assert sorted(path.name for path in (store / NAME).iterdir()) == ["1", "2", "3"]


def test_a_block_that_raises_changes_nothing(store: Path) -> None:
    before = read_store(store)
    with pytest.raises(FileNotFoundError), publishing(store, NAME, 2) as folder:
        shutil.copyfile(folder / "nothing", folder / "manifest.json")
    assert read_store(store) == before
    assert leftovers(store) == []


def test_a_version_is_not_replaced(store: Path) -> None:
    before = read_store(store)
    with pytest.raises(VersionExists, match=f"unroll remove {NAME} 1"), publishing(store, NAME, 1):
        pass
    slower = publishing(store, NAME, 2)
    slower.__enter__().joinpath("late").touch()
    with publishing(store, NAME, 2) as faster:
        faster.joinpath("mine").touch()
    with pytest.raises(VersionExists):
        slower.__exit__(None, None, None)
    assert [path.name for path in (store / NAME / "2").iterdir()] == ["mine"]
    assert leftovers(store) == []
    shutil.rmtree(store / NAME / "2")
    assert read_store(store) == before


def test_a_copy_of_a_store_replaces_what_changed(store: Path) -> None:
    with publishing(store, NAME, 1, replaces=True) as folder:
        folder.joinpath("another").touch()
    assert [path.name for path in (store / NAME).rglob("*")] == ["1", "another"]


def test_many_writers_at_once_do_not_take_each_other_for_leftovers(store: Path) -> None:
    processes = [writer(store, version, pause=0) for version in range(2, 8)]
    assert [process.wait(100) for process in processes] == [0] * 6
    assert sorted(path.name for path in (store / NAME).iterdir()) == [*"1234567"]
    assert not read_store(store).versions[1:]  # whose manifests name the first, as these are bare copies


def test_a_removed_version_is_gone(store: Path) -> None:
    remove_version(store / NAME / "1")
    assert not (store / NAME).exists()


def test_defaults_are_kept_and_what_cannot_be_read_is_none(store: Path) -> None:
    source = FolderStore(store)
    source.write_default(NAME, 1)
    assert list_store(store).defaults == {NAME: 1}
    for content in ("", "[]", '{"version": "x"}', '{"version": true}', "\xff"):
        (store / NAME / "default.json").write_text(content, encoding="latin-1")
        assert list_store(store).defaults == {}
    source.write_default(NAME, None)
    source.write_default(NAME, None)
    assert not (store / NAME / "default.json").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_store_that_cannot_be_written_says_so(store: Path) -> None:
    (store / NAME).chmod(0o500)
    try:
        with pytest.raises(StoreNotWritable):
            FolderStore(store).write_default(NAME, 1)
    finally:
        (store / NAME).chmod(0o700)
