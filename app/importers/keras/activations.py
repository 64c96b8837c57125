"""Functions of Keras by our names."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from app.importers.keras.graph import Layer
from app.store.recurrence import Activation

_FUNCTIONS: dict[str, Activation] = {
    "linear": "none",
    "relu": "relu",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "elu": "elu",
    "selu": "selu",
    "gelu": "gelu",
    "softplus": "softplus",
    "softsign": "softsign",
    "swish": "swish",
    "silu": "swish",
    "leaky_relu": "leaky_relu",
}
_LAYERS = {"LeakyReLU": "leaky_relu", "ELU": "elu", "ReLU": "relu", "Softmax": "softmax"}


class Function(NamedTuple):
    """A function of ours; `is_softmax` instead of one. `slope` is that of leaky_relu."""

    activation: Activation = "none"
    slope: float = 0.01
    is_softmax: bool = False


def function_of(layer: Layer, setting: str = "activation", *, keras_2: bool) -> Function:
    """The function that a setting of a layer names. Raises ImportFailed for one that is not known."""
    given = layer.config.get(setting)
    if isinstance(given, Mapping):
        if given.get("class_name") in _LAYERS or given.get("class_name") in ("Activation",):
            return function_layer(Layer(layer.name, given["class_name"], given["config"]), keras_2=keras_2)
        inner: Any = given.get("config")
        given = inner if isinstance(inner, str) else (inner or {}).get("name", given.get("class_name"))
    if given is None or given == "":
        return Function()
    if given == "softmax":
        return Function(is_softmax=True)
    if given == "hard_sigmoid":
        return Function("hard_sigmoid_5" if keras_2 else "hard_sigmoid_6")
    if given not in _FUNCTIONS:
        known = ", ".join(sorted({*_FUNCTIONS, "hard_sigmoid", "softmax"}))
        raise layer.refuse(f"its {setting} {given!r} is not supported; {known} are")
    return Function(_FUNCTIONS[given], 0.2 if given == "leaky_relu" else 0.01)


def function_layer(layer: Layer, *, keras_2: bool) -> Function:
    """The function of a layer that is nothing else. Raises ImportFailed."""
    config = layer.config
    if layer.kind == "Activation":
        return function_of(layer, keras_2=keras_2)
    if layer.kind == "LeakyReLU":
        return Function("leaky_relu", float(config.get("negative_slope", config.get("alpha", 0.3))))
    if layer.kind == "ELU":
        if float(config.get("alpha", 1.0)) != 1.0:
            raise layer.refuse(f"alpha {config['alpha']} is not supported, only 1")
        return Function("elu")
    if layer.kind == "ReLU":
        if config.get("max_value") is not None or config.get("threshold"):
            raise layer.refuse("max_value and threshold are not supported")
        slope = float(config.get("negative_slope") or 0)
        return Function("leaky_relu", slope) if slope else Function("relu")
    return Function(is_softmax=True)
