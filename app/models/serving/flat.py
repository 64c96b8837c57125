"""A serving form of `Recurrent` for a GPU: weights of a layer and direction in one piece, as cuDNN reads them."""

from collections.abc import Callable
from functools import partial

from torch import nn

from app.models.cells import COMPUTATIONS, Weights
from app.models.recurrent import Recurrent, RecurrentLayers
from app.store.recurrence import CellKind

_MODULES: dict[CellKind, Callable[..., nn.RNNBase]] = {  # the cells of cuDNN; torch lays their weights out
    "rnn_tanh": nn.RNN,
    "rnn_relu": partial(nn.RNN, nonlinearity="relu"),
    "gru": nn.GRU,
    "lstm": nn.LSTM,
}
_MULTIPLE = 8  # tensor cores multiply matrices whose sides are multiples of it


class FlatRecurrent(Recurrent):
    """`recurrent`, on its device. The weights of `unroll` are laid out once; otherwise cuDNN would copy them at each
    call, and an LSTM add its column for padding. They are buffers, which count as memory. Steps use those of
    `recurrent`."""

    def __init__(self, recurrent: Recurrent) -> None:
        RecurrentLayers.__init__(self, recurrent.recurrence)
        self.dropout = 0.0
        self.recurrent = recurrent
        for suffix in (suffix for layer in range(self.recurrence.layers) for suffix in self._suffixes(layer)):
            for name, weight in _flat(self.recurrence.cell, recurrent._weights(suffix))._asdict().items():
                self.register_buffer(name + suffix, weight, persistent=False)

    def _weights(self, suffix: str) -> Weights:
        return self.recurrent._weights(suffix)

    def _unroll_weights(self, suffix: str) -> Weights:
        return Weights(*(self.get_buffer(name + suffix) for name in Weights._fields))


def _flat(kind: CellKind, weights: Weights) -> Weights:
    width = weights.weight_ih.shape[1] + 1  # one column marks padding; those after it are zeros for a CPU
    weights = COMPUTATIONS[kind].unroll_weights(weights)
    if kind not in _MODULES:
        return weights
    if kind == "lstm":  # its inputs get as many columns as its weights
        columns = nn.functional.pad(weights.weight_ih[:, :width], (0, -width % _MULTIPLE))
        weights = weights._replace(weight_ih=columns)
    like = weights.weight_hh
    module = _MODULES[kind](
        weights.weight_ih.shape[1], like.shape[1], batch_first=True, device=like.device, dtype=like.dtype
    )
    flat = Weights(*(module.get_parameter(f"{name}_l0").detach() for name in Weights._fields))
    for mine, theirs in zip(flat, weights, strict=True):
        mine.copy_(theirs)
    return flat
