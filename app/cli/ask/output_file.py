"""JSON lines: an answer or a problem for each input, in order, so that line i of a file is of input i.

A line is written whole and at once. A run that was killed leaves whole lines and at most a piece of one, which is cut
off when the next run goes on.
"""

import fcntl
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import click


@dataclass(frozen=True)
class Line:
    """What became of an input: a `result`, or the `problem` because of which there is none."""

    index: int
    task: str
    input: str
    result: dict[str, Any] | None = None
    problem: dict[str, Any] | None = None

    def encoded(self) -> bytes:
        """As it is written, its end included."""
        members = {name: item for name, item in vars(self).items() if item is not None}
        return json.dumps(members, ensure_ascii=False).encode() + b"\n"


class AnswerFile:
    """A file of lines that a run goes on with."""

    def __init__(self, path: Path, task: str, inputs: Sequence[str]) -> None:
        """Read what earlier runs left. Raises OSError, and click.UsageError if it is of something else."""
        self._file = path.open("a+b")
        self.done = self.failed = 0
        try:
            self._lock(path)
            self._read(path, task, inputs)
        except BaseException:
            self._file.close()
            raise

    def _lock(self, path: Path) -> None:
        """For this process alone, as long as the file is open."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise click.UsageError(f"another run is writing {path}") from None

    def _read(self, path: Path, task: str, inputs: Sequence[str]) -> None:
        end = 0
        with path.open("rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    self._check(path, line, task, inputs)
                    end += len(line)
                elif not self._is_piece(line, task, inputs):
                    self._check(path, b"", task, inputs)
        self._file.truncate(end)

    def _is_piece(self, line: bytes, task: str, inputs: Sequence[str]) -> bool:
        """Whether a line without an end is the beginning of the next answer; anything else is somebody's."""
        if self.done == len(inputs):
            return False
        expected = Line(self.done, task, inputs[self.done]).encoded().removesuffix(b"}\n")
        return line.startswith(expected) or expected.startswith(line)

    def _check(self, path: Path, line: bytes, task: str, inputs: Sequence[str]) -> None:
        other = "name another --output, or remove it"
        try:
            found = json.loads(line)
            was, text, failed = found["task"], found["input"], "problem" in found
        except (ValueError, KeyError, TypeError):
            raise click.UsageError(f"line {self.done + 1} of {path} is no answer of `unroll ask`; {other}") from None
        if was != task:
            raise click.UsageError(f"{path} has answers of the task {was}; {other}")
        if self.done == len(inputs):
            raise click.UsageError(f"{path} has more answers than there are inputs: it is of other inputs; {other}")
        if text != inputs[self.done]:
            raise click.UsageError(
                f"line {self.done + 1} of {path} answers {_short(text)}, but the input is {_short(inputs[self.done])}: "
                f"it is of other inputs; {other}"
            )
        self.done += 1
        self.failed += failed

    def write(self, lines: Iterable[Line]) -> None:
        """Add lines."""
        self._file.write(b"".join(line.encoded() for line in lines))
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()


def _short(text: object) -> str:
    shown = repr(text)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
