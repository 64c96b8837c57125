"""`unroll import` killed at some moment: no version appears, and no file stays."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch
from torch import nn

from app.store.model_store import Contents, read_store
from tests.service.serving import until

NAME = "mine"
WORDS = 4_000


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that takes a moment to read and to write, and the other files of its import."""
    folder = tmp_path_factory.mktemp("files")
    network = nn.ModuleDict({"emb": nn.Embedding(WORDS, 2_000), "gru": nn.GRU(2_000, 16), "head": nn.Linear(16, 2)})
    torch.save(network.state_dict(), folder / "mine.pt")
    folder.joinpath("words.json").write_text(json.dumps(["<unk>", *(f"w{number}" for number in range(1, WORDS))]))
    parts = {"encoder.embedding": "emb", "encoder.recurrence": "gru", "output": "head"}
    mapping = {"parts": parts, "pooling": ["last"], "unk": "<unk>"}
    folder.joinpath("mapping.json").write_text(json.dumps(mapping))
    return folder


def importing(files: Path, tmp_path: Path) -> subprocess.Popen[bytes]:
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    options = {
        "name": NAME,
        "checkpoint": str(files / "mine.pt"),
        "vocab": str(files / "words.json"),
        "layout": "generic-classifier",
        "labels": "bad,good",
        "store": str(tmp_path / "store"),
    }
    settings = [f"mapping={files / 'mapping.json'}", "tokenizer=spaces_lower"]
    command = [sys.executable, "-m", "app", "import"]
    for name, value in [*options.items(), *(("set", setting) for setting in settings)]:
        command += [f"--{name}", value]
    with (tmp_path / "said").open("wb") as said:
        return subprocess.Popen(command, stdout=said, stderr=said, env={"TMPDIR": str(scratch)})


def starts_to_read(scratch: Path, store: Path) -> bool:
    """The folder that parent and child share exists."""
    return any(scratch.glob("unroll-import-*"))


def has_read(scratch: Path, store: Path) -> bool:
    """The child has begun to write."""
    return any(scratch.glob("unroll-import-*/*"))


def writes(scratch: Path, store: Path) -> bool:
    return any((store / NAME).glob(".new-*/*"))


def killed_when(moment: Callable[[Path, Path], bool], files: Path, folder: Path) -> list[psutil.Process]:
    """Kill an import at a moment. Returns its child processes."""
    for leftover in (folder / "scratch").glob("*"):
        shutil.rmtree(leftover)  # or it would be taken for that of the next one
    process = importing(files, folder)
    end = time.monotonic() + 100
    while not moment(folder / "scratch", folder / "store"):
        assert process.poll() is None, (folder / "said").read_text()
        assert time.monotonic() < end
        time.sleep(0.0005)
    process.send_signal(signal.SIGSTOP)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    return children


@pytest.mark.slow
def test_a_killed_import_leaves_nothing(files: Path, short_path: Path) -> None:
    store = short_path / "store"
    seen = 0
    for moment in (writes, has_read, starts_to_read):
        children = killed_when(moment, files, short_path)
        seen += len(children)
        until(lambda: not any(map(lives, children)))  # noqa: B023 - it is called at once
        assert read_store(store) == Contents((), ())
    assert seen > 0
    assert importing(files, short_path).wait(60) == 0, (short_path / "said").read_text()
    assert [version.manifest.key for version in read_store(store).versions] == [f"{NAME}/1"]
    assert [path.name for path in (store / NAME).iterdir()] == ["1"]
    assert list((short_path / "scratch").iterdir()) == []


def lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
