"""Calls a module of the user with a source: batch first or second, with lengths or a state."""

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from app.errors import ImportFailed
from app.saving.content import is_keras

_MOST_ANSWERS = 8  # tensors of an answer


class Answers:
    """What a module answers to sources; the module runs once for each. An `example` is the only one:
    one source, as the module takes it; several arguments in a tuple."""

    def __init__(self, module: Any, example: Any = None) -> None:
        self.module = module
        self._known: dict[bytes, list[Tensor]] = {}
        self.example: Tensor | None = None
        if example is not None:
            arguments = example if isinstance(example, tuple) else (example,)
            self.example = _source(module, arguments[0])
            self._known[_key(self.example)] = _own_answer(module, arguments)

    def of(self, source: Tensor, width: int) -> list[Tensor]:
        """The tensors that it answers with, for a source of ids (1, steps) or numbers (1, steps, features): each by
        another way of calling it. `width` is that of one-hot rows of the ids. Ways that fail are left out."""
        key = _key(source)
        if key not in self._known:
            self._known[key] = list(_answers(self.module, source, width))
        return self._known[key]


def _answers(module: Any, source: Tensor, width: int) -> Iterator[Tensor]:
    if is_keras(module):
        yield from _by_keras(module, source)
        return
    with _evaluating(module):
        for given in _sources(module, source, width):
            for arguments in _arguments(module, given, source.shape[1]):
                try:
                    answer = module(*arguments)
                except Exception:  # code of the user, called in a way that may not be the right one
                    continue
                yield from tensors_in(answer)


def _source(module: Any, example: Any) -> Tensor:
    """An example of the user's as (1, steps) or (1, steps, features)."""
    source = torch.as_tensor(example).detach().cpu()
    features = source.is_floating_point()
    if source.dim() == 1 + features:
        return source.unsqueeze(0)
    is_first = is_keras(module) or any(part.batch_first for part in module.modules() if isinstance(part, nn.RNNBase))
    source = source if is_first or source.shape[0] == 1 else source.transpose(0, 1)
    if source.shape[0] != 1:
        raise ImportFailed(f"example= has {source.shape[0]} sources: give one")
    return source


def _key(source: Tensor) -> bytes:
    return bytes(source.numpy().tobytes())


def _own_answer(module: Any, arguments: tuple[Any, ...]) -> list[Tensor]:
    """The tensors of its answer to an example of the user's."""
    if is_keras(module):
        return tensors_in(module(*arguments))
    with _evaluating(module):
        return tensors_in(module(*arguments))


def tensors_in(answer: Any) -> list[Tensor]:
    """The tensors of an answer, of tuples and dictionaries in order."""
    if isinstance(answer, Tensor):
        return [answer.detach().cpu()]
    if isinstance(answer, Mapping):
        answer = list(answer.values())
    if isinstance(answer, list | tuple):
        return [tensor for item in answer for tensor in tensors_in(item)][:_MOST_ANSWERS]
    if hasattr(answer, "numpy"):
        answer = answer.numpy()
    return [torch.as_tensor(answer.tolist())] if hasattr(answer, "tolist") and hasattr(answer, "dtype") else []


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Without dropout and gradients; afterwards the module is as it was."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, mode in modes.items():
            part.training = mode


def _sources(module: nn.Module, source: Tensor, width: int) -> Iterator[Tensor]:
    parameter = next(module.parameters())
    source = source.to(parameter.device)
    is_first = any(part.batch_first for part in module.modules() if isinstance(part, nn.RNNBase))
    forms = (
        [source] if source.is_floating_point() else [source, nn.functional.one_hot(source, width).to(parameter.dtype)]
    )
    for form in forms:
        if form.is_floating_point():
            form = form.to(parameter.dtype)
        turned = form.transpose(0, 1)
        yield from (form, turned) if is_first else (turned, form)


def _arguments(module: nn.Module, source: Tensor, steps: int) -> Iterator[tuple[Any, ...]]:
    """Ways of calling it, the usual ones first."""
    lengths = torch.tensor([steps])
    needed = _needed(module)
    if needed <= 1:
        yield (source,)
    yield (source, lengths)
    for name in ("init_hidden", "initHidden", "init_state"):
        if hasattr(module, name):
            for numbers in ((1,), ()):
                try:
                    yield (source, getattr(module, name)(*numbers))
                except Exception:  # code of the user
                    continue
    yield (source, None)
    if needed > 2:
        yield (source, lengths, None)


def _needed(module: nn.Module) -> int:
    """Arguments of `forward` without a default."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(module.forward).parameters.values()
    return sum(parameter.default is inspect.Parameter.empty for parameter in parameters if parameter.kind in kinds)


def _by_keras(model: Any, source: Tensor) -> Iterator[Tensor]:
    try:
        answer = model.predict(source.numpy(), verbose=0)
    except Exception:  # of Keras, for a source that it does not read
        return
    yield from tensors_in(answer)
