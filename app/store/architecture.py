"""The architecture of a network, as a manifest describes it. Nothing here imports torch.

`app/models/` builds an `nn.Module` from it; the front end describes it in words. A size is a number of features
unless its name says otherwise.
"""

from typing import Annotated, Literal, NamedTuple, Self, assert_never

from pydantic import BaseModel, ConfigDict, Field, model_validator

CellKind = Literal["rnn_tanh", "rnn_relu", "gru", "lstm"]
Pooling = Literal["last", "max", "mean"]
AttentionKind = Literal["none", "fixed", "location", "dot", "general", "additive", "gated"]
Bridge = Literal["zeros", "copy", "join", "first", "linear", "tanh"]
Size = Annotated[int, Field(gt=0, le=2**20)]  # features; a product of two and 4 bytes fits 64 bits
VocabularySize = Annotated[int, Field(gt=0, le=2**24)]
Layers = Annotated[int, Field(gt=0, le=64)]
Blocks = Annotated[int, Field(gt=0, le=64)]  # of one stage of a ResNet
ImageSize = Annotated[int, Field(gt=0, le=1024)]  # pixels; the weights do not bound it
Kernel = Annotated[int, Field(gt=0, le=1025)]  # steps of a convolution over time
Horizon = Annotated[int, Field(gt=0, le=10_000)]  # steps ahead


class Cell(NamedTuple):
    """A kind of cell. `app/models/cells.py` has its computation.

    `blocks` is the number of blocks of rows in its weights, one for each gate and candidate. `has_cell`: its state has
    a second tensor, `cell`, beside `hidden`.
    """

    words: str
    blocks: int
    has_cell: bool = False


CELLS: dict[CellKind, Cell] = {
    "rnn_tanh": Cell("RNN (tanh)", 1),
    "rnn_relu": Cell("RNN (relu)", 1),
    "gru": Cell("GRU", 3),
    "lstm": Cell("LSTM", 4, has_cell=True),
}
_RESNET_LAYERS = {
    ("basic", (2, 2, 2, 2)): "ResNet-18",
    ("basic", (3, 4, 6, 3)): "ResNet-34",
    ("bottleneck", (3, 4, 6, 3)): "ResNet-50",
    ("bottleneck", (3, 4, 23, 3)): "ResNet-101",
    ("bottleneck", (3, 8, 36, 3)): "ResNet-152",
}


class Part(BaseModel):
    """A frozen part of an architecture. An unknown key is an error, so that a typo cannot pass.

    Every number has a limit that no network reaches, so a damaged file costs no more than a large network.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Recurrence(Part):
    """A stack of recurrent layers. Its parameters have the names of `torch.nn`."""

    cell: CellKind
    input_size: Size
    hidden_size: Size
    layers: Layers = 1
    directions: Literal[1, 2] = 1

    @property
    def output_size(self) -> int:
        return self.hidden_size * self.directions

    def describe(self) -> str:
        direction = "bidirectional " if self.directions == 2 else ""
        layers = f"{self.layers} x " if self.layers > 1 else ""
        return f"{layers}{direction}{CELLS[self.cell].words}-{self.hidden_size}"


class TextEncoder(Part):
    """Token ids to recurrent outputs: an embedding and a recurrence over it. `join` combines the outputs of two
    directions: side by side, or added."""

    kind: Literal["text"] = "text"
    vocabulary_size: VocabularySize
    recurrence: Recurrence
    join: Literal["concatenate", "sum"] = "concatenate"

    @property
    def memory_size(self) -> int:
        return self.recurrence.hidden_size if self.join == "sum" else self.recurrence.output_size

    @property
    def branch_size(self) -> int:
        return 0

    @property
    def reads_steps_alone(self) -> bool:
        """Whether an input of the recurrence is made from one step of the source."""
        return True

    @property
    def is_divisible(self) -> bool:
        """Whether a source can be encoded in chunks, each from the state after the one before."""
        return self.recurrence.directions == 1

    def describe(self) -> str:
        return f"{self.recurrence.describe()} encoder over {self.vocabulary_size} tokens"


class Block(Part):
    """Convolutions over time, one for each of `kernels`, all of `width` features.

    `plain`: each convolution has batch normalisation and relu after it (Wang et al. 2017, section II.B).
    `residual`: the same, and a shortcut from before the first one is added before the last relu; where the width or the
    number of steps changes, the shortcut is a convolution of one step (Wang et al. 2017, section II.C, after He et al.
    2016).

    `padding` is zeros: `same` on both sides, the extra one of an even kernel after the steps; `causal` before them.

    `stride`: the first convolution keeps one step in `stride`. `pool` ends the block with the maximum over `pool` steps
    around every second one. Both keep the first step, so n steps become n / stride, rounded up.
    """

    kind: Literal["plain", "residual"]
    width: Size
    kernels: tuple[Kernel, ...] = Field(min_length=1, max_length=8)
    batch_norm: bool = True
    padding: Literal["same", "causal"] = "same"
    stride: Annotated[int, Field(gt=0, le=64)] = 1
    pool: Kernel | None = None

    def describe(self) -> str:
        return f"{self.kind} {'-'.join(map(str, self.kernels))} x {self.width}"


class SeriesEncoder(Part):
    """Rows of numbers to recurrent outputs: `blocks` of convolutions over time, and a recurrence over their outputs.

    `branch` is a second path over the same numbers: its blocks, averaged over time, follow the pooled outputs
    (LSTM-FCN: Karim et al. 2018, section III.A). `transposed`: the recurrence reads features as steps, each with
    `window` numbers (the dimension shuffle there).
    """

    kind: Literal["series"] = "series"
    features: Size
    blocks: tuple[Block, ...] = Field((), max_length=32)
    recurrence: Recurrence
    branch: tuple[Block, ...] = Field((), max_length=32)
    transposed: Annotated[int, Field(gt=0, le=10_000)] | None = Field(
        None, description="The window, if the recurrence reads features as steps."
    )

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        width = self.blocks[-1].width if self.blocks else self.features
        if self.transposed is not None and self.blocks:
            raise ValueError("a transposed recurrence takes no blocks; they are in 'branch'")
        if self.recurrence.input_size != (self.transposed or width):
            raise ValueError(
                f"recurrence.input_size is {self.recurrence.input_size}, but it reads {width} numbers a step"
            )
        return self

    @property
    def memory_size(self) -> int:
        return self.recurrence.output_size

    @property
    def branch_size(self) -> int:
        """Features that the branch adds to the pooled outputs."""
        return self.branch[-1].width if self.branch else 0

    @property
    def reads_steps_alone(self) -> bool:
        """Whether an input of the recurrence is made from one step of the source, and nothing else reads the source."""
        return not (self.blocks or self.branch or self.transposed)

    @property
    def is_divisible(self) -> bool:
        """Whether a series can be encoded in chunks, each from the state after the one before."""
        return self.recurrence.directions == 1 and self.reads_steps_alone

    def describe(self) -> str:
        blocks = f"{_blocks(self.blocks)}, " if self.blocks else ""
        branch = f" beside {_blocks(self.branch)}" if self.branch else ""
        return f"{blocks}{self.recurrence.describe()} encoder over {self.features} features{branch}"


def _blocks(blocks: tuple[Block, ...]) -> str:
    return f"{len(blocks)} {blocks[0].kind} block{'s' if len(blocks) > 1 else ''}"


class ResNet(Part):
    """A residual network (He et al. 2016, sections 3.3 and 4.1).

    `widths` are the widths of the four stages before expansion (torchvision's `planes`). `stride_at` names the
    convolution of a bottleneck that halves the resolution: `1x1` in the paper and in Caffe's models, `3x3` in
    torchvision's.
    """

    block: Literal["basic", "bottleneck"]
    blocks: tuple[Blocks, Blocks, Blocks, Blocks]
    stem_width: Size = 64
    widths: tuple[Size, Size, Size, Size] = (64, 128, 256, 512)
    stride_at: Literal["1x1", "3x3"] = "3x3"

    @property
    def output_size(self) -> int:
        return self.widths[-1] * (4 if self.block == "bottleneck" else 1)

    def describe(self) -> str:
        name = _RESNET_LAYERS.get((self.block, self.blocks), f"ResNet {self.blocks}")
        return name if self.widths[0] == 64 else f"{name} of width {self.widths[0]}/64"


class Projection(Part):
    """A linear layer on a pooled image; `batch_norm` adds batch normalisation after it (Ioffe and Szegedy 2015)."""

    size: Size
    batch_norm: bool = False


class ImageEncoder(Part):
    """Pixels to a memory with one row per position of the last feature map (`grid`), or with one row (`pooled`).

    Each side of the feature map is 1/32 of the image's. `grid_side` resizes the feature map to that many positions a
    side, by adaptive average pooling.
    """

    kind: Literal["image"] = "image"
    resnet: ResNet
    image_size: ImageSize = 224
    output: Literal["grid", "pooled"] = "grid"
    grid_side: Annotated[int, Field(gt=0, le=64)] | None = None
    projection: Projection | None = None

    @model_validator(mode="after")
    def _only_pooled_is_projected(self) -> Self:
        if self.projection is not None and self.output != "pooled":
            raise ValueError("projection needs output 'pooled'")
        return self

    @property
    def memory_size(self) -> int:
        return self.resnet.output_size if self.projection is None else self.projection.size

    @property
    def memory_length(self) -> int:
        """Rows of memory for one image."""
        side = self.grid_side or -(-self.image_size // 32)
        return side * side if self.output == "grid" else 1

    def describe(self) -> str:
        return f"{self.resnet.describe()} encoder at {self.image_size} x {self.image_size} ({self.output})"


class Layer(Part):
    """A linear layer, batch normalisation after it if it has one, and a function."""

    size: Size
    batch_norm: bool = False
    activation: Literal["none", "relu", "tanh", "sigmoid"] = "relu"


Head = Annotated[tuple[Layer, ...], Field(max_length=16)]


class FramesEncoder(Part):
    """A list of images to recurrent outputs: an encoder of one row for each image, the layers of `head` on each row,
    and a recurrence over the rows (LRCN: Donahue et al. 2015, section 3)."""

    kind: Literal["frames"] = "frames"
    image: ImageEncoder
    head: Head = ()
    recurrence: Recurrence

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.image.output != "pooled":
            raise ValueError("the image encoder of frames needs output 'pooled'")
        width = self.head[-1].size if self.head else self.image.memory_size
        if self.recurrence.input_size != width:
            raise ValueError(f"recurrence.input_size is {self.recurrence.input_size}, but an encoded image has {width}")
        return self

    @property
    def memory_size(self) -> int:
        return self.recurrence.output_size

    @property
    def branch_size(self) -> int:
        return 0

    @property
    def reads_steps_alone(self) -> bool:
        """Whether an input of the recurrence is made from one frame."""
        return True

    @property
    def is_divisible(self) -> bool:
        """Whether frames can be encoded in chunks, each from the state after the one before."""
        return self.recurrence.directions == 1

    def describe(self) -> str:
        return f"{self.recurrence.describe()} encoder over frames, each by a {self.image.describe()}"


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


class Decoder(Part):
    """A recurrent state to tokens, one step at a time.

    `context` is where the context enters. `input`: beside the embedding; the query is the state before the step
    (Bahdanau et al. 2015, section 3.1). `output`: after the recurrence; the query is the state after the step (Luong et
    al. 2015, section 3).

    `readout` lists the inputs of the output layer, in order. `readout_size` adds a tanh layer before the output layer
    (Luong's attentional vector); `input_feeding` appends its output to the next step's input (Luong et al. 2015,
    section 3.3). `input_size` adds a relu layer over embedding and context before the recurrence.

    `bridge` makes the first state. `zeros`; `copy`: the encoder's last state; `join`: that state with its two
    directions side by side; `first`: its first rows (with two directions, both of the lowest layers); `linear` or
    `tanh`: a layer on the encoder's summary. `first_input` is the embedding of bos, or the encoder's `summary` (Vinyals
    et al. 2015, section 3.1).
    """

    vocabulary_size: VocabularySize
    embedding_size: Size
    cell: CellKind
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
            cell=self.cell, input_size=input_size, hidden_size=self.hidden_size, layers=self.layers
        )

    def describe(self) -> str:
        attention = f" with {self.attention.kind} attention" if self.attention.chooses else ""
        layers = f"{self.layers} x " if self.layers > 1 else ""
        cell = f"{layers}{CELLS[self.cell].words}-{self.hidden_size}"
        return f"{cell} decoder{attention} over {self.vocabulary_size} tokens"


RecurrentEncoder = Annotated[TextEncoder | SeriesEncoder | FramesEncoder, Field(discriminator="kind")]
PoolingParts = Annotated[tuple[Pooling, ...], Field(min_length=1, max_length=8)]
Labels = Annotated[int, Field(ge=2, le=2**20)]


class Classifier(Part):
    """A source to a label: an encoder, its outputs pooled over time, the layers of `head`, one linear layer."""

    kind: Literal["classifier"] = "classifier"
    encoder: RecurrentEncoder
    pooling: PoolingParts
    head: Head = ()
    labels: Labels

    def describe(self) -> str:
        return f"{self.encoder.describe()}, {' + '.join(self.pooling)} pooling, {self.labels} labels"


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

    def describe(self) -> str:
        return f"{self.encoder.describe()}, {self.labels} labels a token{', CRF' if self.crf else ''}"


class ValueDecoder(Part):
    """A recurrent state to rows of numbers, one step at a time (Sutskever et al. 2014, section 2, over numbers).

    The state starts as the encoder's last one. The first input is the last row of the source (`last`; its targets) or
    zeros; each further input is the row before.
    """

    cell: CellKind
    hidden_size: Size
    layers: Layers = 1
    first_input: Literal["last", "zeros"] = "last"


class Forecaster(Part):
    """Rows of numbers to the rows that follow: an encoder, its outputs pooled over time, the layers of `head`, one
    linear layer with `horizon` x `targets` outputs, step by step.

    `feedback` makes the steps after these. `none`: there are no more. `state`: a forecast row is the next input of the
    recurrence, which continues from its state. `window`: it is appended to the window, whose first row leaves, and the
    window is read anew. Both need a horizon of 1 and as many targets as features.

    With `decoder` the head follows each of its steps, and `horizon` is the usual number of them.
    """

    kind: Literal["forecaster"] = "forecaster"
    encoder: SeriesEncoder
    pooling: PoolingParts = ("last",)
    head: Head = ()
    targets: Size
    horizon: Horizon = 1
    feedback: Literal["none", "state", "window"] = "none"
    decoder: ValueDecoder | None = None

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        recurrence = self.encoder.recurrence
        shape = (self.horizon, self.targets, self.decoder)
        if self.feedback != "none" and shape != (1, self.encoder.features, None):
            raise ValueError("feedback needs horizon 1, as many targets as features, and no decoder")
        if self.feedback == "state":
            if not self.encoder.is_divisible:
                raise ValueError("feedback 'state' needs a recurrence in one direction, without blocks or branch")
            if self.pooling != ("last",):
                raise ValueError("feedback 'state' needs pooling 'last'")
        if self.decoder is not None:
            if self.pooling != ("last",) or self.encoder.branch:
                raise ValueError("a decoder of values continues the encoder's last state: no pooling, no branch")
            given = (recurrence.cell, recurrence.layers, recurrence.hidden_size, recurrence.directions)
            if given != (self.decoder.cell, self.decoder.layers, self.decoder.hidden_size, 1):
                raise ValueError("a decoder of values needs an encoder whose last state has the shape of its own")
            if self.decoder.first_input == "last" and self.targets > self.encoder.features:
                raise ValueError("first_input 'last' needs the targets among the features")
        return self

    @property
    def is_stepwise(self) -> bool:
        """Whether it makes its rows one after the other, as many as are wanted."""
        return self.feedback != "none" or self.decoder is not None

    def describe(self) -> str:
        ahead = "fed back" if self.feedback != "none" else f"{self.horizon} steps ahead"
        decoder = f", {CELLS[self.decoder.cell].words}-{self.decoder.hidden_size} decoder" if self.decoder else ""
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
        if self.decoder.first_input == "summary" and self.encoder.memory_size != self.decoder.embedding_size:
            raise ValueError("first_input 'summary' needs an encoder summary as wide as the decoder's embedding")
        return self

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
        if self.recurrence.directions != 1:
            raise ValueError("recurrence.directions of a language model must be 1")
        if self.tied_output and self.readout_size != self.recurrence.input_size:
            raise ValueError("tied_output needs readout_size equal to recurrence.input_size")
        return self

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
            cell=self.recurrence.cell,
            hidden_size=self.recurrence.hidden_size,
            layers=self.recurrence.layers,
            readout_size=self.readout_size,
            tied_output=self.tied_output,
            bridge="copy",
        )

    def describe(self) -> str:
        return f"{self.recurrence.describe()} language model over {self.vocabulary_size} tokens"


Architecture = Annotated[Classifier | Tagger | Forecaster | EncoderDecoder | LanguageModel, Field(discriminator="kind")]
