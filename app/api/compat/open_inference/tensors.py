"""The tensors of a model: the columns of its inputs and of its results."""

from dataclasses import dataclass

from app.store.manifest import Manifest
from app.tasks.columns import ANY, Column
from app.tasks.task import Task

_DATATYPES = {"text": "BYTES", "file": "BYTES", "uint8": "UINT8", "float32": "FP32"}


@dataclass(frozen=True)
class Tensor:
    """An input or output tensor of a model. The first dimension of `shape` is the number of inputs."""

    column: Column
    datatype: str
    shape: tuple[int, ...]

    @property
    def name(self) -> str:
        return self.column.name


def inputs_of(task: Task, manifest: Manifest) -> tuple[Tensor, ...]:
    """The input tensors of a model. A request has one of them."""
    return tuple(map(tensor_of, task.source.columns(manifest)))


def outputs_of(task: Task, manifest: Manifest) -> tuple[Tensor, ...]:
    """The output tensors of a model."""
    return tuple(map(tensor_of, task.answer.columns(manifest)))


def tensor_of(column: Column) -> Tensor:
    """A column of any number of inputs."""
    return Tensor(column, _DATATYPES[column.type], (ANY, *column.shape))
