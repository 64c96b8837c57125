"""The state of running requests: what `consume` makes and `step` maps to its successor."""

from typing import NotRequired, TypedDict

from torch import Tensor


class State(TypedDict):
    """Everything a batch of requests owns; one row of each tensor belongs to one request.

    hidden: (batch, layers, hidden). cell: likewise, LSTM only. memory: (batch, source, memory), with its
    keys (batch, source, key) and memory_mask (batch, source), true on real positions: attention only.
    first (batch, embedding) and is_first (batch, 1): what is read instead of an embedding before the first token, and
    whether that is now. fed (batch, readout): what the output layer read in the step before, with input feeding.
    """

    hidden: Tensor
    cell: NotRequired[Tensor]
    first: NotRequired[Tensor]
    is_first: NotRequired[Tensor]
    fed: NotRequired[Tensor]
    memory: NotRequired[Tensor]
    keys: NotRequired[Tensor]
    memory_mask: NotRequired[Tensor]
