"""The functions that a pickle may call. They are ours, and make plain data."""

from collections.abc import Callable, Mapping
from typing import Any

from app.importers.formats.keys import Keys
from app.importers.formats.numpy_arrays import Array, DType, scalar
from app.importers.formats.refusals import ForbiddenName, Refused, Unreadable
from app.importers.formats.storages import NumberType, TensorView, Views
from app.importers.formats.stubs import Stub, StubClass, StubFunction


class AllowedCall:
    """A function of ours that a pickle may call."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self.call = call


class AllowedCalls:
    """By module and name. Those that make tensors and dictionaries count against the limits of the file."""

    def __init__(self, views: Views, keys: Keys, load_bytes: Callable[[bytes], Any] | None) -> None:
        self._views, self._keys, self._load_bytes = views, keys, load_bytes
        self._known: dict[tuple[str, str], Callable[..., Any]] = {
            **_FIXED,
            ("builtins", "dict"): self._dictionary,
            ("collections", "OrderedDict"): self._dictionary,
            ("collections", "defaultdict"): lambda *args: self._dictionary(*args[1:]),  # its default is a function
            ("numpy.core.multiarray", "_reconstruct"): lambda *args: Array(self._views),
            ("numpy.core.numeric", "_frombuffer"): self._array,
            ("torch.storage", "_load_from_bytes"): self._nested,
            ("torch._utils", "_rebuild_tensor"): self._tensor,
            ("torch._utils", "_rebuild_tensor_v2"): self._tensor,
            ("torch._utils", "_rebuild_tensor_v3"): self._typed_tensor,
        }

    def get(self, module: str, name: str) -> AllowedCall | None:
        found = self._known.get((module.replace("numpy._core", "numpy.core"), name))
        return AllowedCall(found) if found is not None else None

    def _dictionary(self, *args: Any) -> dict[Any, Any]:
        if args and isinstance(args[0], dict):
            return dict(args[0])
        return self._keys.pairs(args[0]) if args and isinstance(args[0], list | tuple) else {}

    def _array(self, content: Any, kind: Any, shape: Any, order: Any) -> Array:
        made = Array(self._views)
        made.fill(shape, kind, order == "F", content)
        return made

    def _tensor(self, storage: Any, offset: Any, shape: Any, strides: Any, *rest: Any) -> TensorView:
        return self._views.make(storage, offset, shape, strides)

    def _typed_tensor(
        self, storage: Any, offset: Any, shape: Any, strides: Any, gradient: Any, hooks: Any, kind: Any, *rest: Any
    ) -> TensorView:
        return self._views.make(storage, offset, shape, strides, kind if isinstance(kind, NumberType) else None)

    def _nested(self, content: Any) -> Any:
        if not isinstance(content, bytes) or self._load_bytes is None:
            raise Refused("files are nested in it more than twice")
        return self._load_bytes(content)


def _parameter(data: Any, *rest: Any) -> TensorView:
    if not isinstance(data, TensorView):
        raise Unreadable("a parameter is not a tensor")
    return data


def _function_of_torch(owner: Any, name: Any) -> StubFunction:
    """`getattr` as pickles use it for functions such as torch.tanh. Nothing else may be looked up."""
    if isinstance(owner, StubClass) and owner.name == "torch._C._VariableFunctionsClass" and isinstance(name, str):
        return StubFunction("torch", name)
    raise ForbiddenName("builtins.getattr")


def _reconstructed(kind: Any, base: Any = None, value: Any = None) -> Stub:
    """`copyreg._reconstructor`, by which protocols 0 and 1 make objects."""
    if not isinstance(kind, StubClass):
        raise Refused("it makes an object of something that is not a class")
    return kind.make(() if value is None else (value,))


def _encoded(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1", "utf8", "utf-8", "ascii"):
        raise Refused("it encodes something that is not text")
    return text.encode(encoding)


def _listed(kind: Callable[[Any], Any]) -> Callable[..., Any]:
    def make(*args: Any) -> Any:
        if not args:
            return kind(())
        if not isinstance(args[0], list | tuple | set | frozenset | bytes | bytearray):
            raise Refused("it makes a sequence of something without items, which could take any amount of memory")
        return kind(args[0])

    return make


def _text(*args: Any) -> str:
    return str(args[0]) if args and isinstance(args[0], str | int) else ""


_FIXED: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("_codecs", "encode"): _encoded,
    ("builtins", "getattr"): _function_of_torch,
    ("copyreg", "_reconstructor"): _reconstructed,
    ("copy_reg", "_reconstructor"): _reconstructed,
    ("builtins", "bytearray"): _listed(bytes),
    ("builtins", "bytes"): _listed(bytes),
    ("builtins", "set"): _listed(list),
    ("builtins", "frozenset"): _listed(list),
    ("builtins", "list"): _listed(list),
    ("builtins", "tuple"): _listed(tuple),
    ("numpy", "dtype"): lambda code, *rest: DType(code),
    ("numpy.core.multiarray", "scalar"): scalar,
    ("torch", "Size"): _listed(tuple),
    ("torch", "device"): _text,
    ("torch.serialization", "_get_layout"): _text,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("torch.autograd.variable", "Variable"): _parameter,  # of torch 0.3, as the next
    ("torch.nn.parameter", "Parameter"): _parameter,
}
