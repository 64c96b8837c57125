"""The tensors of a task, by its source and answer kinds."""

from dataclasses import dataclass
from typing import assert_never

from app.store.manifest import Manifest
from app.tasks.task import Task

ANY = -1  # in a shape
_DATATYPES = {"text": "BYTES", "number": "FP32"}


@dataclass(frozen=True)
class Tensor:
    """An input or output tensor of a model. The first dimension of `shape` is the number of inputs."""

    name: str
    datatype: str
    shape: tuple[int, ...] = (ANY,)


TEXT, IMAGE = Tensor("text_input", "BYTES"), Tensor("image", "BYTES")
PIXELS = Tensor("pixels", "UINT8", (ANY, ANY, ANY, 3))


def inputs_of(task: Task) -> tuple[Tensor, ...]:
    """The input tensors of a task. A request has one of them."""
    match task.source.kind:
        case "text":
            return (TEXT,)
        case "image":
            return IMAGE, PIXELS
        case kind:
            assert_never(kind)


def outputs_of(task: Task, manifest: Manifest) -> tuple[Tensor, ...]:
    """The output tensors of a model: the columns of its results."""
    return tuple(
        Tensor(column.name, _DATATYPES[column.type], (ANY,) if column.width is None else (ANY, column.width))
        for column in task.answer.columns(manifest)
    )
