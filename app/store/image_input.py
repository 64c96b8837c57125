"""How an image file becomes the network's input, as a manifest describes it."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from app.store.image_encoder import ImageSize
from app.store.part import Part
from app.store.scaling import Deviation, Float32


class ImageInput(Part):
    """How an image file becomes the network's input.

    `resize`: `squash` scales the image to a square of `size` and ignores its aspect ratio. `crop` scales the shorter
    side to `shorter_side` and takes the central square. Then each channel, scaled to 0..1, is normalised by `mean` and
    `std`. `reading`: `careful` applies the EXIF orientation, puts transparency over white and scales 16-bit samples.
    `plain` is `Image.open(file).convert("RGB")`, as most training scripts do.
    """

    size: ImageSize = 224
    resize: Literal["squash", "crop"] = "squash"
    shorter_side: Annotated[int, Field(gt=0, le=4096)] | None = None
    resample: Literal["bilinear", "lanczos"] = "bilinear"
    reading: Literal["careful", "plain"] = "careful"
    mean: tuple[Float32, Float32, Float32]
    std: tuple[Deviation, Deviation, Deviation]

    @model_validator(mode="after")
    def _crop_has_a_shorter_side(self) -> Self:
        if (self.resize == "crop") != (self.shorter_side is not None) or (self.shorter_side or self.size) < self.size:
            raise ValueError("image.resize 'crop' needs shorter_side >= size; 'squash' takes no shorter_side")
        return self
