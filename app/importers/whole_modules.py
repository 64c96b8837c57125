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
_NOTHING = ("Dropout", "Identity", "Softmax", "LogSoftmax")
_BETWEEN = ("activation", "front_activation", "conv_activation")
_OF_CONVOLUTIONS = {"conv_stride": "stride", "conv_dilation": "dilation", "conv_padding": "padding"}


def functions_in(stub: ForeignObject) -> list[str]:
    """The functions among the modules inside a module, in order. `forward` says where each is called. The one that ends
    a head is not among them."""
    modules = list(_inside(stub))
    kinds = [_kind(module) for module in (modules[:-1] if _ends_head(stub) else modules)]
    return [_FUNCTIONS[kind] for kind in kinds if kind in _FUNCTIONS]


def with_function(option: Option, functions: Sequence[str]) -> Option:
    """The option for a function between layers, with the only one of a pickled module as its usual value. A sigmoid may
    be that of the output."""
    others = set(functions) - {"sigmoid"}
    if len(others) != 1 or option.name not in _BETWEEN or not others <= set(option.choices):
        return option
    return replace(option, usual=others.pop())


def told_by(doubt: str, functions: Sequence[str]) -> str:
    """A doubt about the function of the head, where the modules of the file have one alone."""
    others = set(functions) - {"sigmoid"}
    if len(others) != 1 or not doubt.endswith("is not in the file (activation)"):
        return doubt
    begin = doubt.removesuffix("is not in the file (activation)")
    return f"{begin}is taken to be {others.pop()}, the only one of the file's modules: look at forward() (activation)"


def answers_in(stub: ForeignObject) -> dict[str, str]:
    """The values of options that the modules say: the nonlinearity of nn.RNN; stride, dilation, padding and pools, if
    all convolutions have the same; the slope of nn.LeakyReLU; and the function on the output."""
    answers = _of_functions(stub)
    modules = [module for module in _inside(stub) if module.name.startswith(_MODULES)]
    modes = {str(module.state.get("mode", "")) for module in modules if "mode" in module.state}
    if modes & {"RNN_RELU", "RNN_TANH"}:
        answers["nonlinearity"] = "relu" if "RNN_RELU" in modes else "tanh"
    convolutions = [module.state for module in modules if module.name.endswith(".Conv1d")]
    for option, attribute in _OF_CONVOLUTIONS.items():
        found = {_number(state, attribute) for state in convolutions}
        if len(found) == 1 and (value := found.pop()) is not None:
            answers[option] = value
    if (pool := _pool(modules)) is not None:
        answers["conv_pool"] = pool
    return answers


def _of_functions(stub: ForeignObject) -> dict[str, str]:
    """The only slope of nn.LeakyReLU, and a function that ends a head. A sigmoid that is defined last, and is not the
    only function, ends it, too."""
    modules = [module for module in _inside(stub) if _kind(module) not in _NOTHING]
    slopes = {str(module.state.get("negative_slope")) for module in modules if _kind(module) == "LeakyReLU"}
    answers = {"slope": slopes.pop()} if len(slopes) == 1 else {}
    last = _kind(modules[-1]) if modules else ""
    linears = [module for module in modules if _kind(module) == "Linear"]
    is_last = last == "Sigmoid" and (len(linears) == 1 or len(functions_in(stub)) > 1)
    if last in _FUNCTIONS and (_ends_head(stub) or is_last):
        answers["output_activation"] = _FUNCTIONS[last]
    if last == "Sigmoid" and "output_activation" in answers:
        answers["outputs"] = "sigmoid"
    return answers


def _ends_head(stub: ForeignObject) -> bool:
    """Whether the last module is a function behind the last layer of the nn.Sequential that is defined last."""
    modules = list(_inside(stub))
    if not modules or _kind(modules[-1]) not in _FUNCTIONS:
        return False
    recurrent = [place for place, module in enumerate(modules) if "mode" in module.state]
    for place, module in enumerate(modules):
        inner = list(_inside(module)) if _kind(module) == "Sequential" else []
        if inner and inner[-1] is modules[-1] and recurrent and place > recurrent[-1]:
            return any(_kind(part) == "Linear" for part in inner)
    return False


def _pool(modules: Sequence[ForeignObject]) -> str | None:
    """The size of the max pooling after each convolution before the recurrence."""
    recurrent = next((place for place, module in enumerate(modules) if "mode" in module.state), len(modules))
    before = modules[:recurrent]
    pools = [module.state for module in before if _kind(module) == "MaxPool1d"]
    convolutions = [module for module in before if _kind(module) == "Conv1d"]
    sizes = {_size(state.get("kernel_size")) for state in pools}
    strides = {_size(state.get("stride") or state.get("kernel_size")) for state in pools}
    is_plain = all(not state.get("padding") and state.get("dilation", 1) == 1 for state in pools)
    if not pools or len(pools) != len(convolutions) or sizes != strides or len(sizes) > 1 or not is_plain:
        return None
    return sizes.pop()


def _size(value: object) -> str:
    return str(value[0] if isinstance(value, list | tuple) and len(value) == 1 else value)


def _kind(module: ForeignObject) -> str:
    return module.name.rpartition(".")[2] if module.name.startswith(_MODULES) else ""


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
