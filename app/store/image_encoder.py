"""The encoder of an image, as a manifest describes it. Nothing here imports torch."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from app.store.part import Part, Size

Blocks = Annotated[int, Field(gt=0, le=64)]  # of one stage of a ResNet
ImageSize = Annotated[int, Field(gt=0, le=1024)]  # pixels; the weights do not bound it
_RESNET_LAYERS = {
    ("basic", (2, 2, 2, 2)): "ResNet-18",
    ("basic", (3, 4, 6, 3)): "ResNet-34",
    ("bottleneck", (3, 4, 6, 3)): "ResNet-50",
    ("bottleneck", (3, 4, 23, 3)): "ResNet-101",
    ("bottleneck", (3, 8, 36, 3)): "ResNet-152",
}


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
