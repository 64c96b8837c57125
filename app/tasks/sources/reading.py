"""How a text of a request is read: its model, its options, and the limits that follow; with the errors of each."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.errors import ContradictoryOptions, EmptyInput, InputTooLong, UnknownWord
from app.store.text_input import TokenizerUse
from app.tasks.catalog import Entry
from app.tasks.options import RegisterOptions, SentenceOptions, TaskOptions, TextOptions
from app.tasks.states.carrying import NOTHING_CARRIED, Carrying
from app.text.tokenizer import TextTokenizer
from app.text.white_space import is_blank


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text is read for: its model, its index in the request, the options, and whether its pieces are needed.
    `whole_steps` is the limit of a text that a model reads as a whole."""

    entry: Entry
    index: int
    options: TaskOptions
    pieces: bool
    whole_steps: int
    carrying: Carrying = NOTHING_CARRIED

    @property
    def splits(self) -> bool:
        """Whether each sentence is read on its own."""
        return splits(self.entry, self.options)

    @property
    def needs_pieces(self) -> bool:
        """Whether the answer shows tokens of the source, or words in place of unknown ones."""
        decoding = self.entry.manifest.decoding
        return self.pieces or (decoding is not None and decoding.replace_unknown is not None)

    @property
    def before(self) -> tuple[int, ...]:
        """Ids that stand before those of a text: that of the register. Raises ContradictoryOptions."""
        manifest, options = self.entry.manifest, self.options
        wanted = options.register_name if isinstance(options, RegisterOptions) else None
        registers = manifest.registers
        if registers is None:
            if wanted is None:
                return ()
            raise ContradictoryOptions(
                f"{manifest.name} takes no register: leave out register, or name another model", options=["register"]
            )
        register = wanted or registers.default
        if register is None:
            return ()
        if register not in registers.tokens:
            raise ContradictoryOptions(
                f"{manifest.name} has no register {register}; its registers are {', '.join(registers.tokens)}",
                options=["register"],
            )
        return (registers.tokens[register],)

    @property
    def truncates(self) -> bool:
        """Whether a text that is too long is cut."""
        return truncates(self.options)

    @property
    def most(self) -> int | None:
        """The number of tokens to cut a text to."""
        return self.limit if self.truncates else None

    @property
    def limit(self) -> int | None:
        """The most tokens of a text: the model's limit, and the service's for one that is read as a whole."""
        manifest = self.entry.manifest
        encoder, of_model = manifest.architecture.encoder, manifest.limits.source_tokens
        if encoder.kind == "image" or encoder.is_divisible:
            return of_model
        most = min(self.whole_steps, max(encoder.whole_steps(self.whole_steps), manifest.fixed_source or 0))
        return most if of_model is None else min(of_model, most)

    @property
    def tokenizer(self) -> TextTokenizer:
        """The tokenizer of the model."""
        return self.entry.tokenizer

    @property
    def use(self) -> TokenizerUse:
        """How the manifest says that the tokenizer is used."""
        use = self.entry.manifest.tokenizer
        assert use is not None  # of every model that reads texts
        return use

    def check_not_empty(self, text: str) -> None:
        """Raises EmptyInput for an empty text, unless the model reads it."""
        if is_blank(text) and not self.tokenizer.reads_empty:
            raise EmptyInput(
                f"inputs[{self.index}] is empty; send a text with at least one character", input=self.index
            )

    def without_tokens(self) -> EmptyInput:
        """The error of a text without tokens."""
        name = self.entry.manifest.name
        return EmptyInput(f"inputs[{self.index}] has no token of {name}; send a text with words", input=self.index)

    def refused(self, error: UnknownWord | InputTooLong) -> UnknownWord | InputTooLong:
        """The error of an unknown word, or of a text that cleaning makes too long, with the input and the model."""
        name = self.entry.manifest.name
        return type(error)(f"inputs[{self.index}]: {error.detail} of {name}", input=self.index, **error.facts)

    def check_tokens(self, ids: Sequence[int], number: int | None = None) -> None:
        """Raises InputTooLong for a text, or for sentence `number` of it."""
        manifest, most = self.entry.manifest, self.limit
        if most is not None and len(ids) > most:
            what = f"inputs[{self.index}]" if number is None else f"sentence {number + 1} of inputs[{self.index}]"
            raise InputTooLong(
                f"{what} has {len(ids)} tokens; the limit of {manifest.name} is {most}: {self.options.too_long}",
                input=self.index,
                limit=most,
            )


def splits(entry: Entry, options: TaskOptions) -> bool:
    """Whether each sentence of a text is read on its own."""
    wanted = options.split_sentences if isinstance(options, SentenceOptions) else None
    return entry.manifest.one_sentence if wanted is None else wanted


def truncates(options: TaskOptions) -> bool:
    """Whether a text that is too long is cut."""
    return isinstance(options, TextOptions) and options.truncate
