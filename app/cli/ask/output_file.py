"""The output of `unroll ask`: line i is JSON with the result or the problem of input i.

A killed run leaves complete lines and at most one truncated line, which the next run removes.
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
    """An input with its `result` or its `problem`."""

    index: int
    task: str
    input: str
    result: dict[str, Any] | None = None
    problem: dict[str, Any] | None = None

    def encode(self) -> bytes:
        """The line as JSON, with its end."""
        members = {name: item for name, item in vars(self).items() if item is not None}
        return json.dumps(members, ensure_ascii=False).encode() + b"\n"


class OutputFile:
    """A file of lines that a run starts or resumes."""

    def __init__(self, path: Path, task: str, inputs: Sequence[str]) -> None:
        """Read the lines of earlier runs. Raises OSError, and click.UsageError if the file answers other inputs."""
        self._file = path.open("a+b")
        self.done = self.failed = 0
        try:
            self._lock(path)
            self._read(path, task, inputs)
        except BaseException:
            self._file.close()
            raise

    def _lock(self, path: Path) -> None:
        """Keep other runs out while the file is open."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise click.UsageError(f"another run writes {path}; wait for it, or name another --output") from None

    def _read(self, path: Path, task: str, inputs: Sequence[str]) -> None:
        end = 0
        with path.open("rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    self._check(path, line, task, inputs)
                    end += len(line)
                elif not self._is_truncated(line, task, inputs):
                    self._check(path, b"", task, inputs)
        self._file.truncate(end)

    def _is_truncated(self, line: bytes, task: str, inputs: Sequence[str]) -> bool:
        """Whether a line without an end is the start of the next answer. Anything else is not ours to remove."""
        if self.done == len(inputs):
            return False
        expected = Line(self.done, task, inputs[self.done]).encode().removesuffix(b"}\n")
        return line.startswith(expected) or expected.startswith(line)

    def _check(self, path: Path, line: bytes, task: str, inputs: Sequence[str]) -> None:
        advice = "name another --output, or remove the file"
        try:
            answer = json.loads(line)
            answered_task, text, failed = answer["task"], answer["input"], "problem" in answer
        except (ValueError, KeyError, TypeError):
            raise click.UsageError(
                f"line {self.done + 1} of {path} is not an answer of `unroll ask`; {advice}"
            ) from None
        if answered_task != task:
            raise click.UsageError(f"{path} has answers of the task {answered_task}, not {task}; {advice}")
        if self.done == len(inputs):
            raise click.UsageError(f"{path} has more answers than the {len(inputs)} inputs; {advice}")
        if text != inputs[self.done]:
            raise click.UsageError(
                f"line {self.done + 1} of {path} answers {_short(text)}, but the input is "
                f"{_short(inputs[self.done])}; {advice}"
            )
        self.done += 1
        self.failed += failed

    def write(self, lines: Iterable[Line]) -> None:
        """Add lines."""
        self._file.write(b"".join(line.encode() for line in lines))
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
