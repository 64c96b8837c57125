"""Log lines, in a process whose standard error is a pipe."""

import os
import subprocess
import sys

from tests.conftest import PATIENCE

LINES = 30_000
PROGRAM = f"""
import sys, time
from app.log_output import LOG_OUTPUT
for number in range({LINES}):
    LOG_OUTPUT.write(f"line {{number}} " + "x" * 90)
    if number % 1000 == 0:
        time.sleep(0.005)
print("all are written", flush=True)
sys.stdin.readline()
LOG_OUTPUT.write("the end")
LOG_OUTPUT.flush(float(sys.argv[1]))
"""


def started(*, flush_seconds: float) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", PROGRAM, str(flush_seconds)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_a_reader_who_stops_does_not_stop_the_process_and_lost_lines_are_counted() -> None:
    process = started(flush_seconds=PATIENCE)
    assert process.stdout is not None
    assert process.stdout.readline()  # though nobody has read a byte of 3 MB
    _, written = process.communicate(b"\n", timeout=PATIENCE)
    assert process.returncode == 0
    lines = written.decode().splitlines()
    [dropped] = [int(line.split()[0]) for line in lines if "were dropped" in line]
    assert dropped > 0
    assert len([line for line in lines if "dropped" not in line]) + dropped == LINES + 1


def test_a_process_ends_though_nobody_reads() -> None:
    process = started(flush_seconds=0)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline()
    process.stdin.write(b"\n")
    process.stdin.flush()
    assert process.wait(PATIENCE) == 0
    for pipe in (process.stdin, process.stdout, process.stderr):
        assert pipe is not None
        os.close(os.dup(pipe.fileno()))
        pipe.close()
