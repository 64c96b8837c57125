"""The network of a converted checkpoint, with its weights."""

from collections.abc import Mapping

import torch
from torch import Tensor

from app.errors import ImportFailed
from app.importers.layout import Converted
from app.models.networks import Network, build_network


def network_of(converted: Converted) -> Network:
    """Raises ImportFailed with the first tensor that does not fit."""
    mean, std = (list(converted.image.mean), list(converted.image.std)) if converted.image else ([0.0] * 3, [1.0] * 3)
    network = build_network(converted.architecture, mean=mean, std=std)
    needed = network.state_dict()
    tensors = _with_shared(dict(converted.tensors), needed)
    for name, tensor in needed.items():
        if name.endswith("num_batches_tracked"):  # torch before 0.4.1 has none; only training reads it
            tensors.setdefault(name, tensor)
        if name not in tensors:
            raise ImportFailed(f"the checkpoint has no tensor for {name}")
        shape = tuple(tensors[name].shape)
        if shape != tuple(tensor.shape):
            raise ImportFailed(f"the tensor for {name} has shape {shape}; the network needs {tuple(tensor.shape)}")
        if not torch.isfinite(tensors[name]).all():
            raise ImportFailed(f"the tensor for {name} contains NaN or infinity: the training has diverged")
    if extra := sorted(tensors.keys() - needed.keys()):
        raise ImportFailed(f"the network has no place for {extra[0]}")
    network.load_state_dict(tensors)
    return network.eval()


def _with_shared(tensors: dict[str, Tensor], needed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """With both names of a tensor that two parts of a network share, such as the embedding of a language model."""
    names: dict[int, list[str]] = {}
    for name, tensor in needed.items():
        if tensor.numel():
            names.setdefault(tensor.data_ptr(), []).append(name)
    for group in names.values():
        if given := [name for name in group if name in tensors]:
            tensors |= {name: tensors[given[0]] for name in group if name not in tensors}
    return tensors
