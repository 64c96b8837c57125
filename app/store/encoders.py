"""Encoders, as a manifest describes them: what reads a source. Nothing here imports torch."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from app.store.block import Block
from app.store.encoder_part import EncoderPart
from app.store.image_encoder import ImageEncoder
from app.store.layer import Head
from app.store.part import Size, VocabularySize, Window
from app.store.stages import describe

MaskId = Annotated[int, Field(ge=0, lt=2**31)]
_MOST_FRAMES_NEEDED = 256


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
    def is_transposed(self) -> bool:
        """See `EncoderPart.is_transposed`."""
        return self.transposed is not None

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
