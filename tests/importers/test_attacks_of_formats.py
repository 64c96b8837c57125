"""Attacks by HDF5, zip, numpy, joblib and ONNX: nothing runs, nothing takes all memory, and the error is true."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import app
from app.errors import UnreadableCheckpoint, UnsafeCheckpoint
from app.importers.formats import parse
from app.importers.formats.bounds import Bounds
from app.importers.formats.refusals import Refused, TooLarge, Unreadable
from app.importers.reading import read
from app.importers.untrusted.passing import write
from tests.importers.attacks import ATTACKS, Attack, endless_words, huge_frame, huge_memo_index
from tests.importers.attacks_of_formats import HDF5, OTHERS, hdf5_external_link, hdf5_repeated_text, hdf5_tree_in_a_loop

ALL = HDF5 | OTHERS
LARGEST = 1024**3


@pytest.mark.parametrize("attack", ALL, ids=lambda attack: attack.__name__)
def test_the_parser_refuses_it(attack: Attack, tmp_path: Path) -> None:
    path, canary = tmp_path / "model", tmp_path / "canary"
    attack(path, canary)
    content = path.read_bytes()
    with pytest.raises((Refused, Unreadable, TooLarge)) as caught:
        write(parse(content, Bounds(len(content))), tmp_path, Bounds(len(content)))
    assert ALL[attack] in str(caught.value)
    assert not canary.exists()


def test_a_file_of_hdf5_is_read_in_the_confined_process(tmp_path: Path) -> None:
    hdf5_external_link(tmp_path / "model.h5", tmp_path / "canary")
    with pytest.raises(UnsafeCheckpoint, match=r"model\.h5: its part layers/lstm is a link to another file"):
        read(tmp_path / "model.h5")


def test_a_file_that_ends_the_process_is_refused(tmp_path: Path) -> None:
    hdf5_tree_in_a_loop(tmp_path / "model.h5", tmp_path / "canary")  # the library's own recursion uses up the stack
    with pytest.raises(UnreadableCheckpoint, match=r"model\.h5: .*damaged"):
        read(tmp_path / "model.h5")


HARMLESS = {endless_words, huge_frame, huge_memo_index}
HARMFUL = [attack for attack in ATTACKS if attack not in HARMLESS]  # in the same order in each process


# The largest memory of a process counts from before its program starts (getrusage(2)), when it has that of its parent.
# A worker of pytest is far too large, so a small process is the parent here; it prints what its child used.
_MEASURED = """
import json, os, resource, subprocess, sys
subprocess.run([*sys.argv[1:], str(os.getpid())])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([1024 * used.ru_maxrss, used.ru_utime + used.ru_stime]), file=sys.stderr)
"""


@pytest.mark.slow
@pytest.mark.parametrize("attack", [*ALL, hdf5_repeated_text, *HARMFUL], ids=lambda attack: attack.__name__)
def test_the_confined_process_refuses_it_within_limits(attack: Attack, tmp_path: Path) -> None:
    path, canary, folder = tmp_path / "model", tmp_path / "canary", tmp_path / "folder"
    attack(path, canary)
    folder.mkdir()
    size = path.stat().st_size
    start = "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); "
    start += "runpy.run_module('app.importers.untrusted', run_name='__main__')"
    command = [sys.executable, "-I", "-c", start, str(Path(app.__file__).parents[1]), str(folder), str(size), "60"]
    with path.open("rb") as file:
        ran = subprocess.run(
            [sys.executable, "-I", "-c", _MEASURED, *command], stdin=file, capture_output=True, env={}, check=True
        )
    assert json.loads(ran.stdout)["kind"] in ("Refused", "Unreadable", "TooLarge")
    assert not canary.exists()
    memory, seconds = json.loads(ran.stderr.splitlines()[-1])
    assert memory < 1024**3
    assert seconds < Bounds(size).seconds, "computing time, which is not that of other processes"
