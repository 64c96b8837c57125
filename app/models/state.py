"""The state of requests that are being decoded: `encode` makes it, `step` maps it to the next one."""

from typing import NotRequired, TypedDict

from torch import Tensor


class State(TypedDict):
    """The state of a batch of requests; row i of each tensor belongs to request i.

    hidden (batch, layers, hidden). cell: the same shape, for cells that have one.
    With attention: memory (batch, source, memory), its keys (batch, source, key), and memory_mask (batch, source), true
    on real positions.
    With `first_input` summary: first (batch, embedding), the input of the first step, and is_first (batch, 1), true
    before that step.
    With input feeding: fed (batch, readout), the output layer's input in the step before.
    Of a network that reads a window anew, these alone: window (batch, window), the last ids, of which the last
    `held` (batch, 1) are the text's.
    """

    hidden: NotRequired[Tensor]
    cell: NotRequired[Tensor]
    first: NotRequired[Tensor]
    is_first: NotRequired[Tensor]
    fed: NotRequired[Tensor]
    memory: NotRequired[Tensor]
    keys: NotRequired[Tensor]
    memory_mask: NotRequired[Tensor]
    window: NotRequired[Tensor]
    held: NotRequired[Tensor]
