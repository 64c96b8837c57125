"""JSON lines: an answer or a problem for each input, in order, so that line i of a file is of input i.

A line is written whole and at once. A run that was killed leaves whole lines and at most a piece of one, which is cut
off when the next run goes on.
"""

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
        """Read what earlier runs left. Raises click.UsageError if it is of something else."""
        self._file = path.open("a+b", buffering=0)
        self.done = self.failed = 0
        try:
            self._read(path, task, inputs)
        except BaseException:
            self._file.close()
            raise

    def _read(self, path: Path, task: str, inputs: Sequence[str]) -> None:
        self._file.seek(0)
        end = 0
        with path.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                self._check(path, line, task, inputs)
                end += len(line)
        self._file.truncate(end)

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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()


def _short(text: object) -> str:
    shown = repr(text)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
