"""Encoders, as a manifest describes them: what reads a source. Nothing here imports torch."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from app.store.part import Part, Size, VocabularySize, Window
from app.store.recurrence import Join, MaskedOutputs, Recurrence
from app.store.stages import (
    MOST_NEEDED,
    Block,
    Head,
    RecurrenceStage,
    Stages,
    describe,
    least_before,
    size_after,
    steps_after,
)

Pooling = Literal["last", "last_cell", "last_output", "max", "mean", "sum", "attention", "flatten"]
"""How outputs over time become one vector. `last`: the last states of the top layer, both directions joined.
`last_cell`: its last cell states, of an LSTM.
`last_output`: the output of the last step, after the stages of `back`; with two directions its backward half has read
one step. `max`, `mean`, `sum`: over the steps; those that the recurrence does not read count in `max` alone.
`attention`: a mean weighted by `AttentionPooling`. `flatten`: all steps side by side, of a source whose length is
fixed."""
Blocks = Annotated[int, Field(gt=0, le=64)]  # of one stage of a ResNet
ImageSize = Annotated[int, Field(gt=0, le=1024)]  # pixels; the weights do not bound it
MaskId = Annotated[int, Field(ge=0, lt=2**31)]
_SLOWER = 10  # a step of a cell that torch.nn does not compute, in steps of one that it does
_MOST_FRAMES_NEEDED = 256
_RESNET_LAYERS = {
    ("basic", (2, 2, 2, 2)): "ResNet-18",
    ("basic", (3, 4, 6, 3)): "ResNet-34",
    ("bottleneck", (3, 4, 6, 3)): "ResNet-50",
    ("bottleneck", (3, 4, 23, 3)): "ResNet-101",
    ("bottleneck", (3, 8, 36, 3)): "ResNet-152",
}


class EncoderPart(Part):
    """Base of the encoders with a recurrence: the stages of `front`, the recurrence, its directions joined by `join`,
    and the stages of `back` over its outputs.

    A subclass whose source may have masked steps, which a recurrence does not read, has `is_masked`. They keep the
    state; `masked_outputs` is what stands in the outputs there.
    """

    front: Stages = ()
    recurrence: Recurrence
    join: Join = "concatenate"
    masked_outputs: MaskedOutputs = "repeat"
    back: Stages = ()

    @property
    def source_size(self) -> int:
        """Features of a step that the stages of `front` read."""
        raise NotImplementedError

    @property
    def is_masked(self) -> bool:
        """Whether a source may have steps that the recurrence does not read."""
        return False

    @model_validator(mode="after")
    def _recurrence_fits(self) -> Self:
        features = size_after(self.front, self.source_size)
        if self.recurrence.input_size != features:
            raise ValueError(
                f"recurrence.input_size is {self.recurrence.input_size}, but it reads {features} numbers a step"
            )
        size_after(self.back, self.summary_size)
        if self.least_steps() > MOST_NEEDED:
            raise ValueError(f"the stages need {self.least_steps():,} steps; the limit is {MOST_NEEDED:,}")
        return self

    @property
    def summary_size(self) -> int:
        """Features of the summary, the joined last states."""
        return self.recurrence.joined_size(self.join)

    @property
    def memory_size(self) -> int:
        """Features of an output."""
        return size_after(self.back, self.summary_size)

    @property
    def branch_size(self) -> int:
        """Features that a second path over the source adds to the pooled outputs."""
        return 0

    def memory_length(self, steps: int) -> int:
        """Outputs for a source of this number of steps; below 1, it is too short."""
        return steps_after(self.back, steps_after(self.front, steps))

    def least_steps(self, outputs: int = 1) -> int:
        """The fewest steps of a source with this number of outputs."""
        return least_before(self.front, least_before(self.back, outputs))

    @property
    def reads_steps_alone(self) -> bool:
        """Whether an input of the recurrence is made from one step of the source, and nothing else reads the source."""
        return all(stage.is_pointwise for stage in self.front)

    @property
    def keeps_steps(self) -> bool:
        """Whether there is one output for each step, in the order of the source."""
        return all(stage.keeps_steps for stage in (*self.front, *self.back)) and not self.recurrence.reverse

    @property
    def is_divisible(self) -> bool:
        """Whether a source can be encoded in chunks, each from the state after the one before."""
        return self.reads_forward and not self.is_masked

    @property
    def reads_forward(self) -> bool:
        """Whether no output changes with the steps after it."""
        forward = self.recurrence.directions == 1 and not self.recurrence.reverse
        return forward and self.reads_steps_alone and all(stage.is_pointwise for stage in self.back)

    def differing_beginnings(self, read: Sequence[bool]) -> list[int]:
        """The lengths of the beginnings of a source that may be encoded differently than the one before. `read` says
        which of its steps are not masked: what follows the first masked step in a row changes nothing."""
        alone = self.reads_steps_alone and all(stage.is_pointwise for stage in self.back)
        return [
            length
            for length in range(1, len(read) + 1)
            if not alone or length == 1 or read[length - 1] or read[length - 2]
        ]

    @property
    def slow_layers(self) -> int:
        """Layers, in each direction, of cells that torch.nn does not compute: a source passes them step by step."""
        stages = [stage.recurrence for stage in (*self.front, *self.back) if isinstance(stage, RecurrenceStage)]
        every = (self.recurrence, *stages)
        return sum(one.layers * one.directions for one in every if not one.is_usual)

    def whole_steps(self, limit: int) -> int:
        """The most steps of a source that is read as a whole, where `limit` is that of a network of usual cells."""
        if not self.slow_layers:
            return limit
        return max(self.least_steps(), limit // max(_SLOWER, self.slow_layers))

    def _describe(self, source: str) -> str:
        front = f"{describe(self.front)}, " if self.front else ""
        back = f", {describe(self.back)}" if self.back else ""
        return f"{front}{self.recurrence.describe()} encoder over {source}{back}"


class TextEncoder(EncoderPart):
    """Token ids to recurrent outputs: an embedding, and a recurrence over it.

    `embedding_size` is by default what the recurrence reads. `mask_id` is the id of the steps that are masked
    (Keras: mask_zero).
    """

    kind: Literal["text"] = "text"
    vocabulary_size: VocabularySize
    embedding_size: Size | None = None
    mask_id: MaskId | None = None

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.front and self.embedding_size is None:
            raise ValueError("a text encoder with 'front' needs embedding_size")
        if self.mask_id is not None and self.mask_id >= self.vocabulary_size:
            raise ValueError(f"mask_id is {self.mask_id}; the ids are 0 to {self.vocabulary_size - 1}")
        return self

    @property
    def source_size(self) -> int:
        return self.embedding_size or self.recurrence.input_size

    @property
    def is_masked(self) -> bool:
        return self.mask_id is not None

    def describe(self) -> str:
        return self._describe(f"{self.vocabulary_size} tokens")


class SeriesEncoder(EncoderPart):
    """Rows of numbers to recurrent outputs. A manifest may name `front` `blocks`, as it once was.

    `mask_value`: steps whose numbers all have this value (after scaling) are masked, and zeros to the stages of
    `front` (Keras: Masking).

    `branch` is a second path over the same numbers: its blocks, averaged over time, follow the pooled outputs
    (LSTM-FCN: Karim et al. 2018, section III.A). `transposed`: the recurrence reads features as steps, each with
    `window` numbers (the dimension shuffle there).
    """

    kind: Literal["series"] = "series"
    features: Size
    mask_value: float | None = None
    branch: tuple[Block, ...] = Field((), max_length=32)
    transposed: Window | None = Field(None, description="The window, if the recurrence reads features as steps.")

    @model_validator(mode="before")
    @classmethod
    def _front_was_blocks(cls, values: object) -> object:
        if isinstance(values, dict) and "blocks" in values and "front" not in values:
            return {("front" if key == "blocks" else key): value for key, value in values.items()}
        return values

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.transposed is not None and (self.front or self.is_masked):
            raise ValueError("a transposed recurrence takes no front and no mask_value; its blocks are in 'branch'")
        return self

    @property
    def source_size(self) -> int:
        return self.transposed or self.features

    @property
    def is_masked(self) -> bool:
        return self.mask_value is not None

    @property
    def branch_size(self) -> int:
        """See `EncoderPart.branch_size`."""
        return self.branch[-1].width if self.branch else 0

    @property
    def reads_steps_alone(self) -> bool:
        """See `EncoderPart.reads_steps_alone`."""
        return super().reads_steps_alone and not (self.branch or self.transposed)

    def memory_length(self, steps: int) -> int:
        """See `EncoderPart.memory_length`."""
        return super().memory_length(steps if self.transposed is None else self.features)

    def least_steps(self, outputs: int = 1) -> int:
        """See `EncoderPart.least_steps`. A transposed recurrence reads whole windows."""
        return super().least_steps(outputs) if self.transposed is None else self.transposed

    def describe(self) -> str:
        branch = f" beside {describe(self.branch)}" if self.branch else ""
        return self._describe(f"{self.features} features") + branch


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
    def summary_size(self) -> int:
        return self.memory_size

    @property
    def memory_length(self) -> int:
        """Rows of memory for one image."""
        side = self.grid_side or -(-self.image_size // 32)
        return side * side if self.output == "grid" else 1

    def describe(self) -> str:
        return f"{self.resnet.describe()} encoder at {self.image_size} x {self.image_size} ({self.output})"


class FramesEncoder(EncoderPart):
    """A list of images to recurrent outputs: an encoder of one row for each image, the layers of `head` on each row,
    and a recurrence over the rows (LRCN: Donahue et al. 2015, section 3)."""

    kind: Literal["frames"] = "frames"
    image: ImageEncoder
    head: Head = ()

    @model_validator(mode="after")
    def _image_is_one_row(self) -> Self:
        if self.image.output != "pooled":
            raise ValueError("the image encoder of frames needs output 'pooled'")
        if self.least_steps() > _MOST_FRAMES_NEEDED:
            raise ValueError(f"the stages need {self.least_steps()} frames; the limit is {_MOST_FRAMES_NEEDED}")
        return self

    @property
    def source_size(self) -> int:
        return self.head[-1].size if self.head else self.image.memory_size

    def describe(self) -> str:
        return self._describe(f"frames, each by a {self.image.describe()}")


RecurrentEncoder = Annotated[TextEncoder | SeriesEncoder | FramesEncoder, Field(discriminator="kind")]
