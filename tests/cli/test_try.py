"""`unroll try`: a prompt in a terminal (a pseudo-terminal) or a pipe, with real services."""

import os
import pty
import random
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from PIL import Image

from tests.api.conftest import every_kind, every_kind_server
from tests.conftest import PATIENCE

__all__ = ["every_kind", "every_kind_server"]  # fixtures

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-P", "-c", "from app.cli.main import main; main(prog_name='unroll')", "try"]
WAIT_SECONDS = PATIENCE


def environment(url: str = "") -> dict[str, str]:
    return os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'clients/python'}", "UNROLL_URL": url, "TERM": "dumb"}


def piped(lines: Sequence[str], *arguments: str, url: str) -> subprocess.CompletedProcess[str]:
    text = "".join(f"{line}\n" for line in lines)
    return subprocess.run(
        [*COMMAND, *arguments], input=text, capture_output=True, text=True, env=environment(url), timeout=WAIT_SECONDS
    )


class Terminal:
    """A process on a pseudo-terminal."""

    def __init__(self, command: list[str], url: str, folder: Path) -> None:
        self.pid, self._file = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            signal.signal(
                signal.SIGINT, signal.default_int_handler
            )  # a shell's background job ignores it, and so would its children
            os.execve(sys.executable, command, environment(url))
        self.shown = ""

    def type(self, text: str) -> None:
        os.write(self._file, text.encode())

    def until(self, pattern: str) -> re.Match[str]:
        """Read until the pattern is shown; forget what is before its end."""
        deadline = time.monotonic() + WAIT_SECONDS
        while (found := re.search(pattern, self.shown)) is None:
            assert select.select([self._file], [], [], deadline - time.monotonic())[0], self.shown
            self.shown += os.read(self._file, 4096).decode(errors="replace")
        self.shown = self.shown[found.end() :]
        return found

    def status(self) -> int:
        """Read to the end, and return the exit status."""
        with suppress(OSError):  # as Linux ends a pseudo-terminal
            while piece := os.read(self._file, 4096):
                self.shown += piece.decode(errors="replace")
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@contextmanager
def terminal(*arguments: str, url: str, folder: Path = ROOT, command: Sequence[str] = COMMAND) -> Iterator[Terminal]:
    made = Terminal([*command, *arguments], url, folder)
    try:
        yield made
    finally:
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(made.pid, signal.SIGKILL)
            os.waitpid(made.pid, 0)


def test_a_text_is_answered_and_commands_work(server: str) -> None:
    ran = piped(
        [
            "a warm and funny film",
            "",
            ":set explain maybe",
            ":set beams 2",
            ":model translate-en-ko",
            ":set beams 2",
            ":set",
            "save the changes to the file",
            ":set beams",
            ":model nothing",
            ":dance",
            "/clear",
            "/load sentiment-en",
            "/show",
            "/?",
            "/bye",
            "not read",
        ],
        "sentiment-en",
        url=server,
    )
    assert ran.returncode == 0, ran.stderr
    assert re.search(r"^(positive|negative)\t0\.\d{4}$", ran.stdout, re.MULTILINE)
    assert "translate-en-ko/1: " in ran.stdout
    assert "beams = 2: " in ran.stdout
    assert "cannot stream" not in ran.stderr
    assert f"asking the service at {server}" in ran.stderr
    assert ":model [NAME]" in ran.stdout
    assert "each line is answered alone" in ran.stdout
    assert ran.stdout.count("sentiment-en/1: ") == 3  # at the start, by /load and by /show
    for mistake in (
        "explain is on or off",
        "sentiment has no option beams; it has ",
        "there is no model nothing; there are ",
        "there is no command :dance",
    ):
        assert mistake in ran.stderr


def test_numbers_and_files_are_answered(every_kind_server: str, tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), (90, 120, 40)).save(tmp_path / "a photo.png")
    ran = piped(
        [f"'{tmp_path}/a photo.png'", str(tmp_path / "missing.png"), ":model forecast-state", "1 2; 3 4; 5 6", "1 x"],
        "caption-en",
        url=every_kind_server,
    )
    assert ran.returncode == 0, ran.stderr
    assert "No such file" in ran.stderr
    assert re.search(r"^1\t", ran.stdout, re.MULTILINE), ran.stdout + ran.stderr


def test_words_and_clips_are_answered(every_kind_server: str, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (40, 40), (40 * at, 90, 120)) for at in range(6)]
    frames[0].save(tmp_path / "clip.webp", save_all=True, append_images=frames[1:])
    typed = ["save the file", ":model classify-digits-motion", str(tmp_path / "clip.webp")]
    ran = piped(typed, "tag-en", url=every_kind_server)
    assert ran.returncode == 0, ran.stderr
    assert re.search(r"save\W+(NOUN|VERB|DET|PUNCT)\b", ran.stdout), ran.stdout
    assert re.search(r"^(up|down|left|right)(-\w+)?\t0\.\d{4}$", ran.stdout, re.MULTILINE), ran.stdout + ran.stderr


def test_ctrl_c_stops_an_answer_and_ctrl_d_leaves(server: str) -> None:
    with terminal("lm-en", url=server) as shell:
        shell.until(">>> ")
        for option in ("max_tokens", "min_tokens"):  # seconds of tokens: the answer must not end before Ctrl-C arrives
            shell.type(f":set {option} 4000\n")
            shell.until(r"4000\s+(?s:.)*>>> ")
        shell.type("a film\n")
        shell.until(r"a film\r\n[^\r\n]*\w")  # it streams
        shell.type("\x03")
        shell.until("stopped")
        shell.until(">>> ")
        shell.type("\x03")
        shell.until("Ctrl-D leaves")
        shell.until(">>> ")  # the terminal takes Ctrl-D for itself until the prompt has it
        shell.type("\x04")
        assert shell.status() == 0


@pytest.mark.parametrize("ending", ["quit", "SIGTERM"])
def test_without_a_service_one_is_started_and_ended(tiny_store: Path, tmp_path: Path, ending: str) -> None:
    """Also in a folder that has another package `app`."""
    shutil.copytree(tiny_store / "sentiment-en", tmp_path / "store" / "sentiment-en")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__init__.py").write_text("raise SystemExit('another program')\n")
    with terminal("sentiment-en", "--store", "store", url="", folder=tmp_path) as shell:
        shell.until("starting a service for sentiment-en/1")
        shell.until(">>> ")
        services = psutil.Process(shell.pid).children(recursive=True)
        assert any("serve" in service.cmdline() for service in services)
        shell.type("a warm film\n")
        shell.until(r"(positive|negative)\s+0\.\d{4}")
        if ending == "quit":
            shell.type(":quit\n")
            assert shell.status() == 0
        else:
            os.kill(shell.pid, signal.SIGTERM)
            assert shell.status() == 128 + signal.SIGTERM
        _, alive = psutil.wait_procs(services, timeout=PATIENCE)
        assert alive == []


def test_a_broken_version_is_explained(tiny_store: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_store / "sentiment-en", tmp_path / "sentiment-en") / "1"
    weights = folder / "model.safetensors"
    weights.unlink()
    weights.write_bytes(b"nothing")
    ran = piped([], "sentiment-en", "--store", str(tmp_path), url="")
    assert ran.returncode == 1
    assert "sentiment-en/1: " in ran.stderr


def test_mistakes_at_the_start(server: str, tmp_path: Path) -> None:
    for arguments, url, says in (
        (["nothing"], server, "there is no model nothing; there are "),
        ([], server, "name a model: "),
        (["lm-en"], "http://127.0.0.1:9", "no service answers at http://127.0.0.1:9"),
    ):
        ran = piped([], *arguments, "--store", str(tmp_path), url=url)
        assert ran.returncode in (1, 2)
        assert says in ran.stderr


@pytest.mark.slow
def test_a_signal_just_before_the_prompt_waits_ends_it_too() -> None:
    """Python alone misses 2 of 100: its handler would run when the prompt has its next key."""
    program = (
        "import readline; from app.cli.trying.service import ended_by_signals\n"
        "with ended_by_signals():\n"
        "    print('answered', flush=True)\n"
        "    input('>>> ')"
    )
    pauses = random.Random(1)
    for _ in range(25):
        with terminal(url="", command=[sys.executable, "-c", program]) as shell:
            shell.until("answered")
            time.sleep(pauses.uniform(0, 0.004))
            os.kill(shell.pid, signal.SIGTERM)
            assert shell.status() == 128 + signal.SIGTERM
