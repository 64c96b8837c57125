"""Pickled modules of PyTorch: their objects say what no tensor does, such as the functions beside the layers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from app.importers.options import Option
from app.importers.reading import ForeignObject

_MODULES = "torch.nn.modules."
_FUNCTIONS = {
    "Tanh": "tanh",
    "ReLU": "relu",
    "Sigmoid": "sigmoid",
    "LeakyReLU": "leaky_relu",
    "ELU": "elu",
    "GELU": "gelu",
    "SELU": "selu",
}
_BETWEEN = ("activation", "front_activation", "conv_activation")
_OF_CONVOLUTIONS = {"conv_stride": "stride", "conv_dilation": "dilation", "conv_padding": "padding"}


def functions_in(stub: ForeignObject) -> list[str]:
    """The functions among the modules inside a module, in order. `forward` says where each is called."""
    kinds = (module.name.rpartition(".")[2] for module in _inside(stub))
    return [_FUNCTIONS[kind] for kind in kinds if kind in _FUNCTIONS]


def with_function(option: Option, functions: Sequence[str]) -> Option:
    """The option for a function between layers, with the only one of a pickled module as its usual value. A sigmoid may
    be that of the output."""
    others = set(functions) - {"sigmoid"}
    if len(others) != 1 or option.name not in _BETWEEN or not others <= set(option.choices):
        return option
    return replace(option, usual=others.pop())


def answers_in(stub: ForeignObject) -> dict[str, str]:
    """The values of options that the modules say: the nonlinearity of nn.RNN; stride, dilation and padding, if all
    convolutions have the same."""
    answers = {}
    modules = [module for module in _inside(stub) if module.name.startswith(_MODULES)]
    modes = {str(module.state.get("mode", "")) for module in modules if "mode" in module.state}
    if modes & {"RNN_RELU", "RNN_TANH"}:
        answers["nonlinearity"] = "relu" if "RNN_RELU" in modes else "tanh"
    convolutions = [module.state for module in modules if module.name.endswith(".Conv1d")]
    for option, attribute in _OF_CONVOLUTIONS.items():
        found = {_number(state, attribute) for state in convolutions}
        if len(found) == 1 and (value := found.pop()) is not None:
            answers[option] = value
    return answers


def _number(state: Mapping[str, object], attribute: str) -> str | None:
    value = state.get(attribute)
    if isinstance(value, list | tuple) and len(value) == 1:
        return str(value[0])
    return value if isinstance(value, str) else None


def _inside(stub: ForeignObject) -> Iterator[ForeignObject]:
    children = stub.state.get("_modules")
    for module in children.values() if isinstance(children, Mapping) else ():
        if isinstance(module, ForeignObject):
            yield module
            yield from _inside(module)
