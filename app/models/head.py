"""A head: linear layers, each with a function after it."""

from typing import assert_never

import torch
from torch import Tensor, nn

from app.store.architecture import Layer


class Head(nn.Module):
    """The layers of an architecture's `head`: parameters `0.weight`, `0.bias`, `1.weight` ..., and `norm0.weight` of
    the batch normalisation after layer 0."""

    def __init__(self, layers: tuple[Layer, ...], inputs: int) -> None:
        super().__init__()
        self.layers = layers
        width = inputs
        for number, layer in enumerate(layers):
            self.add_module(str(number), nn.Linear(width, layer.size))
            if layer.batch_norm:
                self.add_module(f"norm{number}", nn.BatchNorm1d(layer.size))
            width = layer.size
        self.output_size = width

    def forward(self, features: Tensor) -> Tensor:
        """(..., inputs) to (..., output_size)."""
        for number, layer in enumerate(self.layers):
            features = self.get_submodule(str(number))(features)
            if layer.batch_norm:
                flat = self.get_submodule(f"norm{number}")(features.flatten(0, -2))
                features = flat.view(features.shape)
            features = _activated(layer, features)
        return features


def _activated(layer: Layer, features: Tensor) -> Tensor:
    match layer.activation:
        case "none":
            return features
        case "relu":
            return torch.relu(features)
        case "tanh":
            return torch.tanh(features)
        case "sigmoid":
            return torch.sigmoid(features)
        case _:
            assert_never(layer.activation)
