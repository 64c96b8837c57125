"""Constants of a graph, and what it makes of constants, as far as weights need it."""

from collections.abc import Mapping
from typing import Any

import torch

from app.importers.onnx.values import Walk


def constant_of(attributes: Mapping[str, Any]) -> Any:
    if "value" in attributes:
        return attributes["value"]
    plain = next((value for key, value in attributes.items() if key.startswith("value_")), None)
    return torch.tensor(plain) if isinstance(plain, int | float | list) else None


def fold(walk: Walk, node: Mapping[str, Any]) -> None:
    """Constants of constants, as far as weights need them. Shapes are not followed."""
    mine = [walk.constants.get(name) for name in node["inputs"]]
    if not mine or mine[0] is None:
        return
    attributes, operation, made = node["attributes"], node["op"], mine[0]
    shape = [int(n) for n in mine[1].flatten().tolist()] if len(mine) > 1 and mine[1] is not None else []
    if operation == "Transpose":
        made = made.permute(attributes.get("perm") or list(range(made.dim()))[::-1])
    elif operation == "Reshape":
        made = made.reshape(shape)
    elif operation == "Unsqueeze":
        for axis in shape or attributes.get("axes", []):
            made = made.unsqueeze(axis)
    elif operation == "Squeeze":
        made = made.squeeze()
    elif operation == "Concat":
        parts = [tensor for tensor in mine if tensor is not None]
        if len(parts) < len(mine):
            return
        made = torch.cat(parts, attributes.get("axis", 0))
    elif operation not in ("Identity", "Cast"):
        return
    walk.constants[node["outputs"][0]] = made.contiguous()
