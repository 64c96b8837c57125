"""The architecture of a network, as a manifest describes it. Nothing here imports torch.

`app/models/` builds an `nn.Module` from it; the front end describes it in words. A size is a number of features
unless its name says otherwise. Recurrences, stages and encoders have files beside this one; all names are here too.
"""

from typing import Annotated, Literal, Self, assert_never

from pydantic import Field, model_validator

from app.store.encoders import (
    FramesEncoder,
    ImageEncoder,
    ImageSize,
    Pooling,
    Projection,
    RecurrentEncoder,
    ResNet,
    SeriesEncoder,
    TextEncoder,
)
from app.store.part import Layers, Part, Size, VocabularySize, Window
from app.store.recurrence import (
    CELLS,
    Activation,
    Cell,
    CellKind,
    CellSettings,
    Join,
    MaskedOutputs,
    Recurrence,
    Slope,
)
from app.store.stages import (
    Affine,
    Block,
    Convolution,
    Head,
    Layer,
    LayerNorm,
    LinearStage,
    Pool,
    RecurrenceStage,
    Stage,
    Stages,
)

__all__ = [
    "CELLS",
    "Activation",
    "Affine",
    "Architecture",
    "Attention",
    "AttentionKind",
    "AttentionPooling",
    "Block",
    "Bridge",
    "Cell",
    "CellKind",
    "CellSettings",
    "Classifier",
    "Convolution",
    "Decoder",
    "EncoderDecoder",
    "Forecaster",
    "FramesEncoder",
    "Head",
    "ImageEncoder",
    "ImageSize",
    "Join",
    "LanguageModel",
    "Layer",
    "LayerNorm",
    "LinearStage",
    "MaskedOutputs",
    "Part",
    "Pool",
    "Pooling",
    "Projection",
    "Recurrence",
    "RecurrenceStage",
    "RecurrentEncoder",
    "ResNet",
    "SeriesEncoder",
    "Stage",
    "Stages",
    "Tagger",
    "TextEncoder",
    "ValueDecoder",
    "WindowLanguageModel",
    "WritesTokens",
]

AttentionKind = Literal["none", "fixed", "location", "dot", "general", "additive", "gated"]
Bridge = Literal["zeros", "copy", "join", "first", "linear", "tanh", "layerwise", "layerwise_tanh"]
Horizon = Annotated[int, Field(gt=0, le=10_000)]  # steps ahead
MOST_POOLED = 2**24  # features of a pooled source
MOST_SLOW_STEPS = 10_000  # of one token, through all layers whose steps are computed one by one


class Attention(Part):
    """How a decoder attends to the memory.

    `dot`, `general`, `additive`: Luong et al. 2015, section 3.1 (`additive` is `concat` there); Bahdanau et al. 2015,
    appendix A.1.2. `gated`: additive, and a gate on the context after Xu et al. 2015, section 4.2.1, with one gate per
    feature of the context where the paper has a single one. `fixed`: the context is the encoder's summary in every step
    (Cho et al. 2014, section 2.2). `location`: scores a fixed number of positions from embedding and hidden state
    alone (Luong et al. 2015, equation 8); the memory past the end of a source is zero.

    `size` is the width of the projected keys of `additive` and `gated`, and the number of positions of `location`; the
    other kinds have none. `activation` is that of `additive` and `gated`. `dot` needs a memory as wide as the hidden
    state.
    """

    kind: AttentionKind = "none"
    size: Size | None = None
    activation: Literal["tanh", "relu"] = "tanh"

    @property
    def chooses(self) -> bool:
        """Whether its weights differ between positions."""
        match self.kind:
            case "none" | "fixed":
                return False
            case "location" | "dot" | "general" | "additive" | "gated":
                return True
            case _:
                assert_never(self.kind)

    @property
    def has_size(self) -> bool:
        match self.kind:
            case "additive" | "gated" | "location":
                return True
            case "none" | "fixed" | "dot" | "general":
                return False
            case _:
                assert_never(self.kind)

    @model_validator(mode="after")
    def _size_goes_with_kind(self) -> Self:
        if (self.size is not None) != self.has_size:
            raise ValueError("attention kinds additive, gated and location need attention.size; others do not take it")
        if self.activation != "tanh" and self.kind not in ("additive", "gated"):
            raise ValueError("only attention kinds additive and gated take attention.activation")
        return self


class Decoder(CellSettings):
    """A recurrent state to tokens, one step at a time.

    `context` is where the context enters. `input`: beside the embedding; the query is the state before the step
    (Bahdanau et al. 2015, section 3.1). `output`: after the recurrence; the query is the state after the step (Luong et
    al. 2015, section 3).

    `readout` lists the inputs of the output layer, in order. `readout_size` adds a tanh layer before the output layer
    (Luong's attentional vector); `input_feeding` appends its output to the next step's input (Luong et al. 2015,
    section 3.3). `input_size` adds a relu layer over embedding and context before the recurrence.

    `bridge` makes the first state. `zeros`; `copy`: the encoder's last state; `join`: that state with its two
    directions side by side; `first`: its first rows (with two directions, both of the lowest layers); `linear` or
    `tanh`: a layer on the encoder's summary; `layerwise` or `layerwise_tanh`: a layer on the last state of each of its
    layers, the directions side by side, one for all layers, and another one for the cell. `first_input` is the
    embedding of bos, or the encoder's `summary` (Vinyals et al. 2015, section 3.1).
    """

    vocabulary_size: VocabularySize
    embedding_size: Size
    hidden_size: Size
    layers: Layers = 1
    attention: Attention = Attention()
    context: Literal["input", "output"] = "output"
    readout: tuple[Literal["hidden", "context", "embedding"], ...] = Field(("hidden",), min_length=1, max_length=8)
    readout_size: Size | None = None
    tied_output: bool = False
    bridge: Bridge = "tanh"
    first_input: Literal["bos", "summary"] = "bos"
    embedding_activation: Literal["relu"] | None = None
    input_size: Size | None = None
    input_feeding: bool = False

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.attention.kind == "none" and "context" in self.readout:
            raise ValueError("readout names 'context', but attention.kind is 'none'")
        if self.attention.kind != "none" and self.context == "output" and "context" not in self.readout:
            raise ValueError("attention with context 'output' needs 'context' in readout")
        if self.tied_output and self.readout_size != self.embedding_size:
            raise ValueError("tied_output needs readout_size equal to embedding_size")
        if self.input_feeding and (self.readout_size is None or self.context != "output"):
            raise ValueError("input_feeding needs readout_size and context 'output'")
        if self.attention.kind == "location" and self.context != "input":
            raise ValueError("attention kind location needs context 'input'")
        return self

    def recurrence(self, input_size: int) -> Recurrence:
        """Its recurrence over inputs of that size. All values are validated already."""
        return Recurrence.model_construct(
            **self.settings, input_size=input_size, hidden_size=self.hidden_size, layers=self.layers
        )

    def describe(self) -> str:
        attention = f" with {self.attention.kind} attention" if self.attention.chooses else ""
        layers = f"{self.layers} x " if self.layers > 1 else ""
        cell = f"{layers}{self.words}-{self.hidden_size}"
        return f"{cell} decoder{attention} over {self.vocabulary_size} tokens"


PoolingParts = Annotated[tuple[Pooling, ...], Field(min_length=1, max_length=8)]
Labels = Annotated[int, Field(ge=2, le=2**20)]


class AttentionPooling(Part):
    """Weights of the outputs over time, by a softmax over their scores.

    `linear`: a score is `activation` of a linear layer on an output (Yang et al. 2016 without their query; usual in
    Keras with tanh). `additive`: a linear layer on `activation` of a linear layer of `size` (Yang et al. 2016, section
    2.2). `dot`: the product with the summary, which is as wide as an output. Parameters: `attention.key` of additive,
    `attention.score` of both.
    """

    kind: Literal["linear", "additive", "dot"]
    size: Size | None = None
    activation: Activation | None = Field(None, description="Needed by linear and additive, and refused by dot.")
    slope: Slope = 0.01

    @model_validator(mode="after")
    def _parts_go_with_kind(self) -> Self:
        if (self.size is not None) != (self.kind == "additive"):
            raise ValueError("attention kind additive needs attention.size; linear and dot do not take it")
        if (self.activation is None) != (self.kind == "dot"):
            raise ValueError("attention kinds linear and additive need attention.activation; dot does not take it")
        return self


class _Pooled(Part):
    """Base of networks whose encoder's outputs are pooled over time. `window` is the length of every source, which
    pooling `flatten` needs; its features are step by step. `norm`: layer normalisation of what the head reads."""

    encoder: RecurrentEncoder
    pooling: PoolingParts = ("last",)
    attention: AttentionPooling | None = None
    window: Window | None = None
    norm: LayerNorm | None = None
    head: Head = ()

    @model_validator(mode="after")
    def _pooling_fits(self) -> Self:
        if (self.attention is not None) != ("attention" in self.pooling):
            raise ValueError("pooling 'attention' needs 'attention'; no other pooling takes it")
        if self.window is None and "flatten" in self.pooling:
            raise ValueError("pooling 'flatten' needs 'window', the length of every source")
        if self.window is not None and self.encoder.memory_length(self.window) < 1:
            raise ValueError(f"a window of {self.window} steps is too short for the stages of the encoder")
        if (
            self.attention is not None
            and self.attention.kind == "dot"
            and self.encoder.memory_size != self.encoder.summary_size
        ):
            raise ValueError("dot attention needs outputs as wide as the summary")
        if "last_cell" in self.pooling and not CELLS[self.encoder.recurrence.cell].has_cell:
            raise ValueError("pooling 'last_cell' needs a recurrence whose cell is lstm")
        if self.pooled_size > MOST_POOLED:
            raise ValueError(f"pooled, a source has {self.pooled_size:,} features; the limit is {MOST_POOLED:,}")
        return self

    @property
    def pooled_size(self) -> int:
        """Features of a pooled source, those of the encoder's branch included."""
        encoder = self.encoder
        steps = encoder.memory_length(self.window) if self.window is not None else 0
        sizes: dict[Pooling, int] = {
            "last": encoder.summary_size,
            "last_cell": encoder.summary_size,
            "flatten": steps * encoder.memory_size,
        }
        return sum(sizes.get(pooling, encoder.memory_size) for pooling in self.pooling) + encoder.branch_size

    @property
    def least_steps(self) -> int:
        """The fewest steps of a source that the network can read."""
        return self.fixed_steps or self.encoder.least_steps()

    @property
    def fixed_steps(self) -> int | None:
        """The steps that every source must have; None for any number from `least_steps` on."""
        return self.window if "flatten" in self.pooling else None

    @property
    def reads_all_outputs(self) -> bool:
        """Whether its answer needs all outputs side by side, and not only what they are pooled to."""
        return bool({"attention", "flatten"} & set(self.pooling))


class Classifier(_Pooled):
    """A source to a label: an encoder, its outputs pooled over time, the layers of `head`, one linear layer.

    `outputs`: `softmax`, one label of all; `sigmoid`, a probability for each label, independent of the others.
    """

    kind: Literal["classifier"] = "classifier"
    pooling: PoolingParts
    labels: Labels
    outputs: Literal["softmax", "sigmoid"] = "softmax"

    @property
    def explains_steps(self) -> bool:
        """Whether each beginning of a source has a label."""
        encoder = self.encoder
        is_transposed = isinstance(encoder, SeriesEncoder) and encoder.transposed is not None
        return not is_transposed and "flatten" not in self.pooling and self.least_steps == 1

    @property
    def explains_in_one_pass(self) -> bool:
        """Whether one pass over a source gives the label after each of its steps."""
        poolings = {"attention", "flatten", "last_cell"} | ({"last"} if self.encoder.back else set())
        encoder = self.encoder
        if encoder.is_masked:  # the state after each step is an output where the masked ones repeat it
            return encoder.reads_forward and encoder.masked_outputs == "repeat" and self._reads_state_alone
        return encoder.is_divisible and not poolings & set(self.pooling)

    @property
    def _reads_state_alone(self) -> bool:
        return self.pooling == ("last",) and not self.encoder.back

    def describe(self) -> str:
        labels = f"{self.labels} {'independent ' if self.outputs == 'sigmoid' else ''}labels"
        return f"{self.encoder.describe()}, {' + '.join(self.pooling)} pooling, {labels}"


class Tagger(Part):
    """A text to a label for each token: an encoder, the layers of `head`, one linear layer.

    `crf`: a linear-chain conditional random field chooses the labels together (Lafferty et al. 2001; with an LSTM:
    Huang et al. 2015, section 2.5).
    """

    kind: Literal["tagger"] = "tagger"
    encoder: TextEncoder
    head: Head = ()
    labels: Labels
    crf: bool = False

    @model_validator(mode="after")
    def _has_an_output_for_each_token(self) -> Self:
        if not self.encoder.keeps_steps:
            raise ValueError("a tagger needs stages that make one step of each, and a recurrence without 'reverse'")
        return self

    @property
    def least_steps(self) -> int:
        """The fewest steps of a source that the network can read."""
        return 1

    def describe(self) -> str:
        return f"{self.encoder.describe()}, {self.labels} labels a token{', CRF' if self.crf else ''}"


class ValueDecoder(CellSettings):
    """A recurrence that makes rows of numbers.

    `reads` is the input of its steps. `fed`: the row before; its state starts as the encoder's last one, and it makes
    as many rows as are wanted (Sutskever et al. 2014, section 2, over numbers). The first input is the last row of the
    source (`last`; its targets) or zeros. `summary`: the pooled source, in each step; its state starts at zero, or as
    the encoder's last one (`continues`), and it makes the rows of the horizon (Keras: RepeatVector).
    """

    hidden_size: Size
    layers: Layers = 1
    reads: Literal["fed", "summary"] = "fed"
    first_input: Literal["last", "zeros"] = "last"
    continues: bool = Field(False, description="With `summary`, start from the encoder's last state.")

    def recurrence(self, input_size: int) -> Recurrence:
        """Its recurrence over inputs of that size. All values are validated already."""
        return Recurrence.model_construct(
            **self.settings, input_size=input_size, hidden_size=self.hidden_size, layers=self.layers
        )


class Forecaster(_Pooled):
    """Rows of numbers to the rows that follow: an encoder, its outputs pooled over time, the layers of `head`, one
    linear layer with `horizon` x `targets` outputs, step by step, and a function.

    `feedback` makes the steps after these. `none`: there are no more. `state`: a forecast row is the next input of the
    recurrence, which continues from its state. `window`: it is appended to the window, whose first row leaves, and the
    window is read anew. Both need a horizon of 1 and as many targets as features.

    With `decoder` the head follows each of its steps; `horizon` is the usual number of them if it is fed. `per_step`:
    the head follows each of the last `horizon` outputs, and makes one row of each (darts: BlockRNNModel).
    """

    kind: Literal["forecaster"] = "forecaster"
    encoder: SeriesEncoder
    targets: Size
    horizon: Horizon = 1
    feedback: Literal["none", "state", "window"] = "none"
    decoder: ValueDecoder | None = None
    output_activation: Activation = "none"
    slope: Slope = 0.01
    per_step: bool = False

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        shape = (self.horizon, self.targets, self.decoder, self.per_step)
        if self.feedback != "none" and shape != (1, self.encoder.features, None, False):
            raise ValueError("feedback needs horizon 1, as many targets as features, no decoder and no per_step")
        if self.feedback == "state":
            if not self.encoder.is_divisible or self.encoder.front or self.encoder.back:
                raise ValueError("feedback 'state' needs a recurrence in one direction, without stages, branch or mask")
            if self.pooling != ("last",):
                raise ValueError("feedback 'state' needs pooling 'last'")
        if self.per_step and (self.pooling != ("last",) or self.decoder is not None or self.encoder.branch):
            raise ValueError("per_step takes no pooling, no decoder and no branch: it reads the last outputs")
        if self.decoder is not None and self.decoder.reads == "fed":
            if self.pooling != ("last",) or self.encoder.branch:
                raise ValueError("a decoder of values continues the encoder's last state: no pooling, no branch")
            if self.decoder.first_input == "last" and self.targets > self.encoder.features:
                raise ValueError("first_input 'last' needs the targets among the features")
        if self.decoder is not None and (self.decoder.reads == "fed" or self.decoder.continues):
            recurrence = self.encoder.recurrence
            given = (recurrence.cell, recurrence.layers, recurrence.hidden_size, recurrence.directions)
            if given != (self.decoder.cell, self.decoder.layers, self.decoder.hidden_size, 1):
                raise ValueError("a decoder of values needs an encoder whose last state has the shape of its own")
        return self

    @property
    def is_stepwise(self) -> bool:
        """Whether it makes its rows one after the other, as many as are wanted."""
        return self.feedback != "none" or self.is_fed

    @property
    def is_fed(self) -> bool:
        """Whether a decoder reads its own rows."""
        return self.decoder is not None and self.decoder.reads == "fed"

    @property
    def least_steps(self) -> int:
        """See `_Pooled.least_steps`."""
        return self.encoder.least_steps(self.horizon) if self.per_step else super().least_steps

    @property
    def reads_all_outputs(self) -> bool:
        """See `_Pooled.reads_all_outputs`."""
        return self.per_step or super().reads_all_outputs

    def describe(self) -> str:
        ahead = "fed back" if self.feedback != "none" else f"{self.horizon} steps ahead"
        decoder = f", {self.decoder.words}-{self.decoder.hidden_size} decoder" if self.decoder else ""
        return f"{self.encoder.describe()}{decoder}, {self.targets} targets, {ahead}"


class EncoderDecoder(Part):
    """A text or an image to a sequence of tokens."""

    kind: Literal["encoder_decoder"] = "encoder_decoder"
    encoder: Annotated[TextEncoder | ImageEncoder, Field(discriminator="kind")]
    decoder: Decoder

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.decoder.attention.kind == "dot" and self.encoder.memory_size != self.decoder.hidden_size:
            raise ValueError("dot attention needs a memory as wide as the decoder's hidden_size")
        source = self.encoder.recurrence if isinstance(self.encoder, TextEncoder) else None
        if not self._state_fits(source):
            raise ValueError(
                f"bridge '{self.decoder.bridge}' needs a text encoder whose last state has the shape of the decoder's"
            )
        if self.decoder.first_input == "summary" and self.encoder.summary_size != self.decoder.embedding_size:
            raise ValueError("first_input 'summary' needs an encoder summary as wide as the decoder's embedding")
        return self

    @property
    def least_steps(self) -> int:
        """The fewest steps of a source that the network can read."""
        return 1 if isinstance(self.encoder, ImageEncoder) else self.encoder.least_steps()

    def _state_fits(self, source: Recurrence | None) -> bool:
        """Whether the bridge can make the decoder's first state from the encoder's last."""
        decoder = self.decoder
        if source is None or source.cell != decoder.cell:
            return decoder.bridge in ("zeros", "linear", "tanh")
        match decoder.bridge:
            case "zeros" | "linear" | "tanh":
                return True
            case "copy":
                rows, width = source.layers if source.directions == 1 else 0, source.hidden_size
            case "join":
                rows, width = source.layers, source.output_size
            case "layerwise" | "layerwise_tanh":
                rows, width = source.layers, decoder.hidden_size
            case "first":
                rows, width = min(source.layers * source.directions, decoder.layers), source.hidden_size
            case _:
                assert_never(decoder.bridge)
        return (rows, width) == (decoder.layers, decoder.hidden_size)

    def describe(self) -> str:
        return f"{self.encoder.describe()}, {self.decoder.describe()}"


class LanguageModel(Part):
    """A text to its next tokens (Mikolov et al. 2010; with LSTM: Sundermeyer et al. 2012): one recurrence reads a
    prefix and continues it.

    Encoder and decoder share embedding and recurrence. `readout_size` adds a tanh layer before the output layer.
    `tied_output`: the output layer's weights are the embedding's (Press and Wolf 2017).
    """

    kind: Literal["language_model"] = "language_model"
    vocabulary_size: VocabularySize
    recurrence: Recurrence
    readout_size: Size | None = None
    tied_output: bool = False

    @model_validator(mode="after")
    def _reads_forward(self) -> Self:
        if self.recurrence.directions != 1 or self.recurrence.reverse:
            raise ValueError("recurrence.directions of a language model must be 1, without reverse")
        if self.tied_output and self.readout_size != self.recurrence.input_size:
            raise ValueError("tied_output needs readout_size equal to recurrence.input_size")
        return self

    @property
    def least_steps(self) -> int:
        """The fewest steps of a source that the network can read."""
        return 1

    @property
    def encoder(self) -> TextEncoder:
        """Encodes the prefix."""
        return TextEncoder(vocabulary_size=self.vocabulary_size, recurrence=self.recurrence)

    @property
    def decoder(self) -> Decoder:
        """Continues it: the same embedding and recurrence, and an output layer."""
        return Decoder(
            vocabulary_size=self.vocabulary_size,
            embedding_size=self.recurrence.input_size,
            **self.recurrence.settings,
            hidden_size=self.recurrence.hidden_size,
            layers=self.recurrence.layers,
            readout_size=self.readout_size,
            tied_output=self.tied_output,
            bridge="copy",
        )

    def describe(self) -> str:
        return f"{self.recurrence.describe()} language model over {self.vocabulary_size} tokens"


class WindowLanguageModel(_Pooled):
    """A text to its next tokens: each step reads the last `window` ids anew, and no state is kept (Bengio et al. 2003,
    with a recurrence; usual in Keras).

    `pad` is the id before a text that is shorter, or after it (`pad_side`); None reads it as it is.
    """

    kind: Literal["window_language_model"] = "window_language_model"
    encoder: TextEncoder
    window: Annotated[int, Field(gt=0, le=1000)]
    pad: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    pad_side: Literal["left", "right"] = "left"

    @model_validator(mode="after")
    def _padding_fits(self) -> Self:
        if self.pad is None and ("flatten" in self.pooling or self.encoder.least_steps() > 1):
            raise ValueError("pooling 'flatten', and stages that need more than one step, need 'pad'")
        if self.pad is not None and self.pad >= self.vocabulary_size:
            raise ValueError(f"pad is {self.pad}; the ids are 0 to {self.vocabulary_size - 1}")
        if (slow := self.encoder.slow_layers) * self.window > MOST_SLOW_STEPS:
            raise ValueError(
                f"each token would read {self.window} ids through {slow} layers of cells that torch.nn does not "
                f"compute; the limit of the window is {MOST_SLOW_STEPS // slow}"
            )
        return self

    @property
    def vocabulary_size(self) -> int:
        """Ids that it reads and writes."""
        return self.encoder.vocabulary_size

    @property
    def least_steps(self) -> int:
        """See `_Pooled.least_steps`."""
        return 1

    @property
    def decoder(self) -> Decoder:
        """What the engine knows of its answers: the ids that it writes, and that it attends to nothing."""
        recurrence = self.encoder.recurrence
        return Decoder(
            vocabulary_size=self.vocabulary_size,
            embedding_size=self.encoder.source_size,
            cell=recurrence.cell,
            hidden_size=recurrence.hidden_size,
            bridge="zeros",
        )

    def describe(self) -> str:
        pooling = " + ".join(self.pooling)
        return f"{self.encoder.describe()}, {pooling} pooling, language model over the last {self.window} tokens"


WritesTokens = EncoderDecoder | LanguageModel | WindowLanguageModel
Architecture = Annotated[
    Classifier | Tagger | Forecaster | EncoderDecoder | LanguageModel | WindowLanguageModel,
    Field(discriminator="kind"),
]
