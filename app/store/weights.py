"""Loads the weights of a version into a network: safetensors only, never pickle."""

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from app.errors import FileDamaged, WeightsMismatch
from app.store.model_store import WEIGHTS, Version


def distinct_tensors(network: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, as stored on disk: of tied tensors only the first."""
    seen: set[int] = set()
    tensors = {}
    for name, tensor in network.state_dict().items():
        if tensor.data_ptr() not in seen:
            seen.add(tensor.data_ptr())
            tensors[name] = tensor
    return tensors


def load_weights(network: nn.Module, version: Version) -> None:
    """Copy the weights into `network`, converted to its number type. Raises FileDamaged or WeightsMismatch."""
    try:
        stored = load_file(version.folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise FileDamaged(f"{WEIGHTS} cannot be read: {error}") from error
    needed = distinct_tensors(network)
    for name, tensor in needed.items():
        if name not in stored:
            raise WeightsMismatch(f"{WEIGHTS} has no tensor {name}, which the architecture needs")
        if stored[name].shape != tensor.shape:
            shapes = f"{tuple(stored[name].shape)}, but the architecture needs {tuple(tensor.shape)}"
            raise WeightsMismatch(f"{WEIGHTS} has {name} of shape {shapes}")
    if extra := sorted(stored.keys() - needed.keys()):
        raise WeightsMismatch(f"{WEIGHTS} has a tensor {extra[0]} that the architecture does not use")
    network.load_state_dict(stored, strict=False)  # complete, as checked above; tied tensors share storage
