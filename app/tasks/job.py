"""One input on its way to an engine and back."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, assert_never

import msgspec
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from app.engine.cost import cost_of
from app.engine.protocol import AnswerSpec, Carried, Carry, Frames, Pixels, Series, Source, Tokens
from app.tasks.catalog import Entry
from app.tasks.options import TaskOptions
from app.tasks.states.carrying import NextState
from app.tasks.states.saved import SavedState
from app.text.placed_words import PlacedWord
from app.text.tokenizer import Piece


class ReadSource(msgspec.Struct, frozen=True, eq=False):
    """A source in the form of the engine. `pieces` are its tokens with their places in `text`, if needed; `words` are
    for an answer that labels words.

    For an answer that continues the source, `first` is the first input of the decoder, and `after` are the last ids of
    the source, which the text of the answer follows.

    A source may be one of several parts of an input, the sentences of a text or the windows of a series: `part` is its
    number, from 0, and `following` of the first one are the others, each with the text between it and the one before.
    `carry` says from which state the engine begins and which it keeps; `next` is the state after the source, if wanted,
    and `saved` the one before a text to continue. `unshown` are ids decoded before, whose text that of the answer
    begins with; `first_char` is the place of `text` in all that was read.
    `past` of the first window has the targets of the whole series, if they are among the features.
    """

    source: Source
    pieces: Sequence[Piece] = ()
    first: int | None = None
    after: Sequence[int] = ()
    part: int = 0
    following: Sequence[tuple[str, "ReadSource"]] = ()
    words: Sequence[PlacedWord] = ()
    text: str = ""
    past: NDArray[np.float64] | None = None
    carry: Carry | None = None
    next: NextState | None = None
    saved: SavedState | None = None
    unshown: Sequence[int] = ()
    first_char: int = 0

    @property
    def tokens(self) -> int:
        """Number of tokens; 0 for other sources."""
        return len(self.source.ids) if isinstance(self.source, Tokens) else 0

    @property
    def kept_steps(self) -> int | None:
        """Steps that the state before it had read; None without a state."""
        return None if self.carry is None or self.carry.start is None else self.carry.start.steps

    @property
    def steps(self) -> int:
        """Steps over which a recurrence reads it: tokens, rows or frames."""
        match self.source:
            case Tokens():
                return len(self.source.ids)
            case Series():
                return len(self.source.rows)
            case Frames():
                return self.source.count
            case Pixels():
                return 1
            case _:
                assert_never(self.source)


class Following(NamedTuple):
    """A further part of an input, and the text between it and the one before."""

    separator: str
    job: "Job"


@dataclass(frozen=True)
class Job:
    """One input, ready for an engine: the version that answers, the source, and the engine request. Of an input with
    several parts it is the first one; `following` are the others."""

    entry: Entry
    read: ReadSource
    request: AnswerSpec
    options: TaskOptions
    following: Sequence[Following] = ()
    cost: int = field(init=False)  # expected cell steps of this part

    def __post_init__(self) -> None:
        cost = cost_of(self.read.source, self.request, self.entry.manifest.architecture).total
        object.__setattr__(self, "cost", cost)

    @property
    def key(self) -> str:
        """The version as `name/version`."""
        return self.entry.manifest.key

    def state(self, carried: Carried | None) -> str | None:
        """The text of the state after the input, if it is wanted. Raises InvalidState."""
        return None if self.read.next is None else self.read.next.sealed(carried)

    @property
    def parts(self) -> list["Job"]:
        """The job of each part: of a sentence of a text, or of a window of a series."""
        return [self, *(job for _, job in self.following)]

    @property
    def tokens(self) -> int:
        """Number of tokens of the input; 0 for other sources."""
        return self.read.tokens + sum(job.read.tokens for _, job in self.following)

    @property
    def steps(self) -> int:
        """Expected cell steps of all parts."""
        return self.cost + sum(job.cost for _, job in self.following)


@dataclass(frozen=True, slots=True)
class Output:
    """The answer to one input: its result, and the number of decoded tokens."""

    result: BaseModel
    emitted_tokens: int = field(default=0)
