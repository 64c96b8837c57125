"""One input on its way to an engine and back."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel

from app.engine.cost import cost_of, directions_of
from app.engine.protocol import AnswerSpec, Source, Tokens
from app.tasks.catalog import Entry
from app.tasks.options import TaskOptions
from app.text.tokenizer import Piece


@dataclass(frozen=True, slots=True)
class ReadSource:
    """A source in the form of the engine. `pieces` are its tokens with their places in the text, if needed.

    For an answer that continues the source, `first` is the first input of the decoder, and `after` are the last ids of
    the source, which the text of the answer follows.
    """

    source: Source
    pieces: Sequence[Piece] = ()
    first: int | None = None
    after: Sequence[int] = ()

    @property
    def tokens(self) -> int:
        """Number of tokens; 0 for an image."""
        return len(self.source.ids) if isinstance(self.source, Tokens) else 0


@dataclass(frozen=True, slots=True)
class Job:
    """One input, ready for an engine: the version that answers, the source, and the engine request."""

    entry: Entry
    read: ReadSource
    request: AnswerSpec
    options: TaskOptions

    @property
    def key(self) -> str:
        """The version as `name/version`."""
        return self.entry.manifest.key

    @property
    def steps(self) -> int:
        """Expected cell steps."""
        directions = directions_of(self.entry.manifest)
        return cost_of(self.read.source, self.request, directions=directions).total


@dataclass(frozen=True, slots=True)
class Output:
    """The answer to one input: its result, and the number of decoded tokens."""

    result: BaseModel
    emitted_tokens: int = field(default=0)
