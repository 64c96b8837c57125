"""The effect of a token on the output, by its distance to the end of a text.

It is the norm of the gradient with respect to the embedded token `d` steps before the end (Hochreiter 1991; Bengio et
al. 1994, section 3). It compares all kinds of cells, because it includes every path: hidden state, gates, and the
LSTM's cell. Two outputs are measured: the last hidden state, and the label, to which pooling over time connects every
step directly.
"""

import copy
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from app.models.encoders import TextEncoder
from app.models.networks import Classifier
from training.loop import pad_rows

DIRECTIONS = 4  # unit vectors on which the last hidden state is projected


class Norms(NamedTuple):
    """Gradient norms by text and distance to the text's end, each (texts, distances)."""

    state: Tensor
    label: Tensor


def gradient_norms(network: Classifier, rows: Sequence[Sequence[int]], distances: int) -> Norms:
    """Norms at distances 0 to `distances` - 1 for rows of at least `distances` token ids.

    `label` is the norm for the log-odds of label 1. `state` is the root mean square, over random unit vectors that are
    the same for all rows, of the norm of the vector times the Jacobian of the last hidden state. Computed in float64,
    so that small norms do not become 0.
    """
    assert min(map(len, rows)) >= distances
    network = copy.deepcopy(network).double().eval().requires_grad_(False)
    hidden = network.config.encoder.memory_size
    vectors = torch.randn(DIRECTIONS, hidden, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    embedded: list[Tensor] = []

    def watch(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
        embedded.append(output.detach().requires_grad_())
        return embedded[0]

    tokens, lengths = pad_rows(rows)
    assert isinstance(network.encoder, TextEncoder)
    with network.encoder.embedding.register_forward_hook(watch), torch.enable_grad():
        encoded = network.encoder(tokens, lengths)
        logits = network.label(encoded)
    ends = (logits[:, 1] - logits[:, 0], *(encoded.summary @ nn.functional.normalize(vectors, dim=1).T).unbind(1))
    # A row's end depends on no other row, so the gradient of the sum is each row's own.
    gradients = [torch.autograd.grad(end.sum(), embedded[0], retain_graph=True)[0] for end in ends]
    index = lengths.unsqueeze(1) - 1 - torch.arange(distances).unsqueeze(0)  # batch x distances
    label, *state = (gradient.norm(dim=2).gather(1, index) for gradient in gradients)
    return Norms(torch.stack(state).square().mean(0).sqrt(), label)


def typical(norms: Tensor) -> list[float | None]:
    """The geometric mean over texts at each distance, divided by that at distance 0: (texts, distances) to distances.

    Texts whose gradient is exactly 0 there are left out: under max pooling a token may have no effect.
    """
    logarithms = norms.log().masked_fill(norms == 0, float("nan")).nanmean(0)
    relative = (logarithms - logarithms[0]).exp().tolist()
    return [None if value != value else float(f"{value:.4g}") for value in relative]


def reach(relative: Iterable[float | None], share: float = 0.01) -> int | None:
    """The first distance from which the norm stays below a share of that at distance 0; None if there is none."""
    below = None
    for distance, value in enumerate(relative):
        if value is not None and value >= share:
            below = None
        elif below is None:
            below = distance
    return below
