"""Weights of a version into a network: safetensors only, nothing is unpickled."""

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from app.errors import FileDamaged, WeightsMismatch
from app.store.model_store import WEIGHTS, Version


def distinct_tensors(network: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name; of tied ones only the first, which is what goes to disk."""
    seen: set[int] = set()
    tensors = {}
    for name, tensor in network.state_dict().items():
        if tensor.data_ptr() not in seen:
            seen.add(tensor.data_ptr())
            tensors[name] = tensor
    return tensors


def load_weights(network: nn.Module, version: Version) -> None:
    """Fill `network` in place, in its own number type whatever the type on disk.

    Raises FileDamaged or WeightsMismatch with the first tensor that does not fit.
    """
    try:
        found = load_file(version.folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise FileDamaged(f"{WEIGHTS} cannot be read: {error}") from error
    wanted = distinct_tensors(network)
    for name, tensor in wanted.items():
        if name not in found:
            raise WeightsMismatch(f"{WEIGHTS} has no tensor {name}, which the architecture needs")
        if found[name].shape != tensor.shape:
            shapes = f"{tuple(found[name].shape)}, but the architecture needs {tuple(tensor.shape)}"
            raise WeightsMismatch(f"{WEIGHTS} has {name} of shape {shapes}")
    if extra := sorted(found.keys() - wanted.keys()):
        raise WeightsMismatch(f"{WEIGHTS} has a tensor {extra[0]} that the architecture does not know")
    network.load_state_dict(found, strict=False)  # all that is wanted was found; tied tensors come along
