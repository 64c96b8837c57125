"""Architecture configurations: what a manifest says about a network, free of torch.

`app/models/` builds an `nn.Module` from one of these; the front end describes it in words from the
same object. Sizes are counts of units (features) unless a name says otherwise.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

CellKind = Literal["rnn_tanh", "rnn_relu", "gru", "lstm"]
Pooling = Literal["last", "max", "mean"]
AttentionKind = Literal["none", "fixed", "location", "dot", "general", "additive", "gated"]

_CELL_WORDS = {"rnn_tanh": "RNN (tanh)", "rnn_relu": "RNN (relu)", "gru": "GRU", "lstm": "LSTM"}
_RESNET_LAYERS = {
    ("basic", (2, 2, 2, 2)): "ResNet-18",
    ("basic", (3, 4, 6, 3)): "ResNet-34",
    ("bottleneck", (3, 4, 6, 3)): "ResNet-50",
    ("bottleneck", (3, 4, 23, 3)): "ResNet-101",
    ("bottleneck", (3, 8, 36, 3)): "ResNet-152",
}


class Part(BaseModel):
    """A frozen piece of an architecture; unknown keys are refused, so that a typo cannot pass."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Recurrence(Part):
    """A stack of recurrent layers with `torch.nn`'s parameter names."""

    cell: CellKind
    input_size: PositiveInt
    hidden_size: PositiveInt
    layers: PositiveInt = 1
    directions: Literal[1, 2] = 1

    @property
    def output_size(self) -> int:
        return self.hidden_size * self.directions

    def describe(self) -> str:
        direction = "bidirectional " if self.directions == 2 else ""
        layers = f"{self.layers} x " if self.layers > 1 else ""
        return f"{layers}{direction}{_CELL_WORDS[self.cell]}-{self.hidden_size}"


class TextEncoder(Part):
    """Token ids to recurrent outputs: an embedding and a recurrence over it. `join` is how the outputs of two
    directions become one: side by side, or added."""

    kind: Literal["text"] = "text"
    vocabulary_size: PositiveInt
    recurrence: Recurrence
    join: Literal["concatenate", "sum"] = "concatenate"

    @property
    def memory_size(self) -> int:
        return self.recurrence.hidden_size if self.join == "sum" else self.recurrence.output_size

    def describe(self) -> str:
        return f"{self.recurrence.describe()} encoder over {self.vocabulary_size} tokens"


class ResNet(Part):
    """A residual network (He et al. 2016, section 3.3 and 4.1), as wide or thin as `widths` says.

    `widths` are the widths of the four stages before expansion (torchvision's `planes`); `stride_at` names
    the convolution of a bottleneck that halves the resolution: `1x1` in the paper and in Caffe's
    models, `3x3` in torchvision's.
    """

    block: Literal["basic", "bottleneck"]
    blocks: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt]
    stem_width: PositiveInt = 64
    widths: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt] = (64, 128, 256, 512)
    stride_at: Literal["1x1", "3x3"] = "3x3"

    @property
    def output_size(self) -> int:
        return self.widths[-1] * (4 if self.block == "bottleneck" else 1)

    def describe(self) -> str:
        name = _RESNET_LAYERS.get((self.block, self.blocks), f"ResNet {self.blocks}")
        return name if self.widths[0] == 64 else f"{name} of width {self.widths[0]}/64"


class Projection(Part):
    """A linear layer on a pooled image, with or without batch normalisation after it (Ioffe and Szegedy 2015)."""

    size: PositiveInt
    batch_norm: bool = False


class ImageEncoder(Part):
    """Pixels to a memory of one row per cell of the last feature map (`grid`), or one row in all (`pooled`).

    The feature map is 1/32 of the image in each direction, or `grid_side` cells, averaged or repeated from those.
    """

    kind: Literal["image"] = "image"
    resnet: ResNet
    image_size: PositiveInt = 224
    output: Literal["grid", "pooled"] = "grid"
    grid_side: PositiveInt | None = None
    projection: Projection | None = None

    @model_validator(mode="after")
    def _only_pooled_is_projected(self) -> Self:
        if self.projection is not None and self.output != "pooled":
            raise ValueError("projection is for a pooled output")
        return self

    @property
    def memory_size(self) -> int:
        return self.resnet.output_size if self.projection is None else self.projection.size

    @property
    def memory_length(self) -> int:
        """Rows of memory per image."""
        side = self.grid_side or -(-self.image_size // 32)
        return side * side if self.output == "grid" else 1

    def describe(self) -> str:
        return f"{self.resnet.describe()} encoder at {self.image_size} x {self.image_size} ({self.output})"


class Attention(Part):
    """How a decoder looks at the memory.

    `dot`, `general` and `additive` (Luong et al. 2015, section 3.1, there `concat`; Bahdanau et al. 2015,
    appendix A.1.2); `gated` is additive with a gate on the context after Xu et al. (2015, section 4.2.1), here one gate
    per feature of the context where the paper has one in all. `activation` is that of the last two.
    `fixed` looks at the encoder's summary in every step (Cho et al. 2014, section 2.2). `location` scores a fixed
    number of positions from embedding and hidden alone (Luong et al. 2015, equation 8), whatever stands there; past the
    end of a source it looks at zeros.
    `size` is the width of the projected keys, for `location` the number of positions; the others have none. `dot` needs
    memory and hidden of equal size.
    """

    kind: AttentionKind = "none"
    size: PositiveInt | None = None
    activation: Literal["tanh", "relu"] = "tanh"

    @property
    def chooses(self) -> bool:
        """Whether it looks at one place more than at another."""
        return self.kind not in ("none", "fixed")

    @model_validator(mode="after")
    def _size_goes_with_kind(self) -> Self:
        if (self.size is not None) != (self.kind in ("additive", "gated", "location")):
            raise ValueError("attention.size is for kinds additive, gated and location, which need it")
        if self.activation != "tanh" and self.kind not in ("additive", "gated"):
            raise ValueError("attention.activation is for kinds additive and gated")
        return self


class Decoder(Part):
    """State to tokens, one step at a time.

    `context`: where the attended context enters: `input` concatenates it to the embedding and attends with
    the state before the step (Bahdanau et al. 2015, section 3.1); `output` attends with the state after the step
    (Luong et al. 2015, section 3). `readout` lists what the output layer reads, in order; with `readout_size`
    those pass a tanh layer first (Luong's attentional vector), which with `input_feeding` is a part of the next step's
    input, after the embedding (Luong et al. 2015, section 3.3). `embedding_activation` and the relu layer of
    `input_size` come before the recurrence, the latter over embedding and context. `bridge` makes the first state:
    `zeros`, `copy` of the encoder's last state, the same with two directions side by side (`join`), the first rows of
    it (`first`: of two directions both of the lowest layers), or a `linear` or `tanh` layer on the encoder's summary.
    `first_input` is the embedding of bos, or in its place the encoder's `summary` (Vinyals et al. 2015, section 3.1).
    """

    vocabulary_size: PositiveInt
    embedding_size: PositiveInt
    cell: CellKind
    hidden_size: PositiveInt
    layers: PositiveInt = 1
    attention: Attention = Attention()
    context: Literal["input", "output"] = "output"
    readout: tuple[Literal["hidden", "context", "embedding"], ...] = Field(("hidden",), min_length=1)
    readout_size: PositiveInt | None = None
    tied_output: bool = False
    bridge: Literal["zeros", "copy", "join", "first", "linear", "tanh"] = "tanh"
    first_input: Literal["bos", "summary"] = "bos"
    embedding_activation: Literal["relu"] | None = None
    input_size: PositiveInt | None = None
    input_feeding: bool = False

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.attention.kind == "none" and "context" in self.readout:
            raise ValueError("readout names 'context' but attention.kind is 'none'")
        if self.attention.kind != "none" and self.context == "output" and "context" not in self.readout:
            raise ValueError("attention with context 'output' needs 'context' in readout, or nothing reads it")
        if self.tied_output and self.readout_size != self.embedding_size:
            raise ValueError("tied_output needs readout_size equal to embedding_size")
        if self.input_feeding and (self.readout_size is None or self.context != "output"):
            raise ValueError("input_feeding needs readout_size and context 'output'")
        if self.attention.kind == "location" and self.context != "input":
            raise ValueError("attention of kind location needs context 'input'")
        return self

    def describe(self) -> str:
        attention = f" with {self.attention.kind} attention" if self.attention.chooses else ""
        layers = f"{self.layers} x " if self.layers > 1 else ""
        cell = f"{layers}{_CELL_WORDS[self.cell]}-{self.hidden_size}"
        return f"{cell} decoder{attention} over {self.vocabulary_size} tokens"


class Classifier(Part):
    """Sequence to label: a text encoder, its outputs pooled, one linear layer."""

    kind: Literal["classifier"] = "classifier"
    encoder: TextEncoder
    pooling: tuple[Pooling, ...] = Field(min_length=1)
    labels: Annotated[int, Field(ge=2)]

    def describe(self) -> str:
        return f"{self.encoder.describe()}, {' + '.join(self.pooling)} pooling, {self.labels} labels"


class EncoderDecoder(Part):
    """Sequence or image to sequence."""

    kind: Literal["encoder_decoder"] = "encoder_decoder"
    encoder: Annotated[TextEncoder | ImageEncoder, Field(discriminator="kind")]
    decoder: Decoder

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.decoder.attention.kind == "dot" and self.encoder.memory_size != self.decoder.hidden_size:
            raise ValueError("dot attention needs a memory as wide as the decoder's hidden_size")
        source = self.encoder.recurrence if isinstance(self.encoder, TextEncoder) else None
        if self.decoder.bridge in ("copy", "join", "first") and not self._state_fits(source):
            raise ValueError(
                f"bridge '{self.decoder.bridge}' needs a text encoder whose last state has the shape of the decoder's"
            )
        if self.decoder.first_input == "summary" and self.encoder.memory_size != self.decoder.embedding_size:
            raise ValueError("first_input 'summary' needs an encoder summary as wide as the decoder's embedding")
        return self

    def _state_fits(self, source: Recurrence | None) -> bool:
        if source is None or source.cell != self.decoder.cell:
            return False
        rows = {"copy": source.layers if source.directions == 1 else 0, "join": source.layers}.get(
            self.decoder.bridge, min(source.layers * source.directions, self.decoder.layers)
        )
        width = source.output_size if self.decoder.bridge == "join" else source.hidden_size
        return (rows, width) == (self.decoder.layers, self.decoder.hidden_size)

    def describe(self) -> str:
        return f"{self.encoder.describe()}, {self.decoder.describe()}"


class LanguageModel(Part):
    """Sequence to next token (Mikolov et al. 2010; with LSTM: Sundermeyer et al. 2012): one recurrence reads a prefix
    and goes on from it, token after token.

    It is an encoder and a decoder that are the same embedding and recurrence. With `readout_size` the hidden state
    passes a tanh layer before the output layer, whose weights are the embedding's if `tied_output` (Press and Wolf
    2017).
    """

    kind: Literal["language_model"] = "language_model"
    vocabulary_size: PositiveInt
    recurrence: Recurrence
    readout_size: PositiveInt | None = None
    tied_output: bool = False

    @model_validator(mode="after")
    def _reads_forward(self) -> Self:
        if self.recurrence.directions != 1:
            raise ValueError("a language model reads in one direction: recurrence.directions must be 1")
        if self.tied_output and self.readout_size != self.recurrence.input_size:
            raise ValueError("tied_output needs readout_size equal to recurrence.input_size")
        return self

    @property
    def encoder(self) -> TextEncoder:
        """What consumes the prefix."""
        return TextEncoder(vocabulary_size=self.vocabulary_size, recurrence=self.recurrence)

    @property
    def decoder(self) -> Decoder:
        """What goes on: the same, with an output layer."""
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


Architecture = Annotated[Classifier | EncoderDecoder | LanguageModel, Field(discriminator="kind")]
