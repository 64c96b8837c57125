"""A head: perhaps layer normalisation, and linear layers, each with a function after it."""

from collections.abc import Callable

from torch import Tensor, nn

from app.models.activations import function_of
from app.store.layer import Layer
from app.store.stages import LayerNorm


class Head(nn.Module):
    """The layers of an architecture's `head`: parameters `0.weight`, `0.bias`, `1.weight` ..., and `norm0.weight` of
    the batch normalisation before or after layer 0. `norm.weight` is that of layer normalisation before all of them."""

    def __init__(self, layers: tuple[Layer, ...], inputs: int, norm: LayerNorm | None = None) -> None:
        super().__init__()
        self.layers = layers
        self.norm = None if norm is None else nn.LayerNorm(inputs, norm.epsilon)
        width = inputs
        for number, layer in enumerate(layers):
            self.add_module(str(number), nn.Linear(width, layer.size))
            if (batch_norm := norm_of(layer, width)) is not None:
                self.add_module(f"norm{number}", batch_norm)
            width = layer.size
        self.output_size = width

    def forward(self, features: Tensor) -> Tensor:
        """(..., inputs) to (..., output_size)."""
        if self.norm is not None:
            features = self.norm(features)
        for number, layer in enumerate(self.layers):
            norm = self.get_submodule(f"norm{number}") if layer.norm else None
            features = through(layer, self.get_submodule(str(number)), norm, features)
        return features


def norm_of(layer: Layer, inputs: int) -> nn.BatchNorm1d | None:
    """The batch normalisation of a layer with `inputs` features, if it has one."""
    if layer.norm is None:
        return None
    return nn.BatchNorm1d(inputs if layer.norm == "before" else layer.size, layer.epsilon)


def through(
    layer: Layer, linear: Callable[[Tensor], Tensor], norm: Callable[[Tensor], Tensor] | None, features: Tensor
) -> Tensor:
    """features (..., inputs) through a layer, by its linear layer and its batch normalisation: (..., size)."""
    if norm is not None and layer.norm == "before":
        features = _normalised(norm, features)
    features = linear(features)
    if norm is not None and layer.norm == "after":
        features = _normalised(norm, features)
    return function_of(layer.activation, layer.slope)(features)


def _normalised(norm: Callable[[Tensor], Tensor], features: Tensor) -> Tensor:
    return norm(features.flatten(0, -2)).view(features.shape)
