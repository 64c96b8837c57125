"""The tensors of a model: the columns of its inputs and of its results."""

from dataclasses import dataclass

from app.store.manifest import Manifest
from app.tasks.columns import ANY, Column
from app.tasks.states.carrying import why_no_state
from app.tasks.states.options import ReturnedStateOptions
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


def sources_of(task: Task, manifest: Manifest) -> tuple[Tensor, ...]:
    """The input tensors of a model's sources. A request has one of them."""
    return tuple(map(tensor_of, task.source.columns(manifest)))


def answers_of(task: Task, manifest: Manifest) -> tuple[Tensor, ...]:
    """The output tensors of a model's answers, which a response has unless the request selects others."""
    return tuple(map(tensor_of, task.answer.columns(manifest)))


def states_of(task: Task, manifest: Manifest) -> tuple[Tensor, ...]:
    """The tensor of a state, before the source or after it, of a model that can carry one. It is optional."""
    carries = issubclass(task.options, ReturnedStateOptions) and why_no_state(manifest) is None
    return (STATE,) if carries else ()


def tensor_of(column: Column) -> Tensor:
    """A column of any number of inputs."""
    return Tensor(column, _DATATYPES[column.type], (ANY, *column.shape))


STATE = tensor_of(Column("state", "text"))
