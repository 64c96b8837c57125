"""The network of a converted checkpoint, with its weights."""

import torch

from app.errors import ImportFailed
from app.importers.layout import Converted
from app.models.networks import Classifier, EncoderDecoder, build_network


def network_of(converted: Converted) -> Classifier | EncoderDecoder:
    """Raises ImportFailed with the first tensor that does not fit."""
    mean, std = (list(converted.image.mean), list(converted.image.std)) if converted.image else ([0.0] * 3, [1.0] * 3)
    network = build_network(converted.architecture, mean=mean, std=std)
    needed = network.state_dict()
    for name, tensor in needed.items():
        if name not in converted.tensors:
            raise ImportFailed(f"the checkpoint has no tensor for {name}")
        shape = tuple(converted.tensors[name].shape)
        if shape != tuple(tensor.shape):
            raise ImportFailed(f"the tensor for {name} has shape {shape}; the network needs {tuple(tensor.shape)}")
        if not torch.isfinite(converted.tensors[name]).all():
            raise ImportFailed(f"the tensor for {name} contains NaN or infinity: the training has diverged")
    if extra := sorted(converted.tensors.keys() - needed.keys()):
        raise ImportFailed(f"the network has no place for {extra[0]}")
    assert isinstance(network, Classifier | EncoderDecoder)  # as `Converted` says
    network.load_state_dict(dict(converted.tensors))
    return network.eval()
