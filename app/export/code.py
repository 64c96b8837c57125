"""The code of an exported network while it is written: lines, and where each tensor of ours goes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import assert_never

from torch import Tensor

from app.store.recurrence import Activation

INDENT = " " * 4


@dataclass
class Code:
    """`parts` are the lines of `__init__`, `helpers` the classes that they use. `places` maps prefixes of our tensors
    to prefixes of the exported ones. `shared` maps names of tensors to those of the tensors that they are."""

    parts: list[str] = field(default_factory=list)
    helpers: dict[str, str] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    shared: dict[str, str] = field(default_factory=dict)

    def part(self, name: str, made: str, ours: str) -> str:
        """Add a module or a parameter with the tensors of ours, and return how `forward` calls it."""
        self.parts.append(f"self.{name} = {made}")
        self.places[ours] = name
        return f"self.{name}"

    def named(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Our tensors by their exported names."""
        prefixes = sorted(self.places, key=len, reverse=True)
        named = {}
        for name, tensor in tensors.items():
            prefix = next((p for p in prefixes if name == p or name.startswith(f"{p}.")), None)
            assert prefix is not None, name  # each part of an architecture is written
            named[self.places[prefix] + name.removeprefix(prefix)] = tensor
        return named


def applied(activation: Activation, value: str, slope: float = 0.01) -> str:
    """The expression of a function of `value`."""
    match activation:
        case "none":
            return value
        case "relu" | "tanh" | "sigmoid" | "selu":
            return f"torch.{activation}({value})"
        case "leaky_relu":
            return f"nn.functional.leaky_relu({value}, {slope})"
        case "elu" | "gelu" | "softplus" | "softsign":
            return f"nn.functional.{activation}({value})"
        case "swish":
            return f"nn.functional.silu({value})"
        case "hard_sigmoid_5":
            return f"(0.2 * {value} + 0.5).clamp(0, 1)"
        case "hard_sigmoid_6":
            return f"({value} / 6 + 0.5).clamp(0, 1)"
        case _:
            assert_never(activation)
