"""Pickles to plain data. A pickle is a program that calls what it names; here it can call nothing but what this file
lists, and a class that it names is an inert note of its name, its attributes and its items."""

import pickle
import pickletools
import re
import sys
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any, BinaryIO, ClassVar

from app.importers.untrusted.bounds import Bounds
from app.importers.untrusted.refusals import Refused, TooLarge, Unreadable
from app.importers.untrusted.storages import NumberType, Storage, TensorView, Views, dtype, storage_type

_CLASS = re.compile(r"_?[A-Z][A-Za-z0-9_]{0,99}")
_MODULE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*){0,9}")
_DANGEROUS = {
    "builtins",
    "__builtin__",
    "nt",
    "posix",
    "torch.hub",
    "torch.jit",
    "torch.package",
    "torch.utils.cpp_extension",
}
_HARMLESS = {
    ("argparse", "Namespace"),
    ("pathlib", "PosixPath"),
    ("pathlib", "WindowsPath"),
    ("collections", "Counter"),
}
_NUMPY = {"_reconstruct", "scalar", "ndarray", "dtype", "_frombuffer"}  # inert: only that the rest can be read
_NOTED = {  # functions that torchtext's objects hold beside their words: noted as a class would be, and never called
    ("torchtext.vocab", "_default_unk_index"),
    ("torchtext.data.utils", "_split_tokenizer"),
    ("functools", "partial"),
    ("onmt.inputters.text_dataset", "_feature_tokenize"),
}
StorageMaker = Callable[[Any], Storage]


class Stub:
    """An object of a class that is not ours; `name` is that of the class."""

    name = ""

    def __init__(self) -> None:
        self.args: tuple[Any, ...] = ()
        self.state: dict[Any, Any] = {}
        self.items: list[Any] = []
        self.entries: list[tuple[Any, Any]] = []

    def set_state(self, state: Any) -> None:
        """Attributes, in the forms that `__reduce__` knows; anything else is kept as `state`."""
        parts = state if isinstance(state, tuple) and len(state) == 2 else (state,)
        if all(part is None or isinstance(part, dict) for part in parts):
            for part in parts:
                self.state |= part or {}
        else:
            self.state["state"] = state


class Made:
    """A function of ours that a pickle may call."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self.call = call


class StubClass:
    """A class that a pickle named."""

    def __init__(self, name: str) -> None:
        self.name = name

    def make(self, args: tuple[Any, ...]) -> Stub:
        stub = Stub()
        stub.name, stub.args = self.name, args
        return stub


def _defaults(*args: Any) -> dict[Any, Any]:
    """A defaultdict without its default, which would be a function."""
    return dict(args[1]) if len(args) > 1 and isinstance(args[1], dict) else {}


def _pairs(*args: Any) -> dict[Any, Any]:
    return dict(args[0]) if args and isinstance(args[0], dict | list | tuple) else {}


def _reconstructed(kind: Any, base: Any = None, value: Any = None) -> Stub:
    """`copyreg._reconstructor`, as protocols 0 and 1 make objects; attributes follow."""
    if not isinstance(kind, StubClass):
        raise Refused("it makes an object of something that is no class")
    return kind.make(() if value is None else (value,))


def _encoded(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1", "utf8", "utf-8", "ascii"):
        raise Refused("it encodes something that is no text")
    return text.encode(encoding)


def _listed(kind: Callable[[Any], Any]) -> Callable[..., Any]:
    def make(*args: Any) -> Any:
        if not args:
            return kind(())
        if not isinstance(args[0], list | tuple | set | frozenset | bytes | bytearray):
            raise Refused("it makes a sequence of something that has no items: this may ask for any amount of memory")
        return kind(args[0])

    return make


def _text(*args: Any) -> str:
    return str(args[0]) if args and isinstance(args[0], str | int) else ""


_CALLS: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): _pairs,
    ("collections", "defaultdict"): _defaults,
    ("_codecs", "encode"): _encoded,
    ("copyreg", "_reconstructor"): _reconstructed,
    ("copy_reg", "_reconstructor"): _reconstructed,
    ("builtins", "bytearray"): _listed(bytes),
    ("builtins", "bytes"): _listed(bytes),
    ("builtins", "set"): _listed(list),
    ("builtins", "frozenset"): _listed(list),
    ("builtins", "list"): _listed(list),
    ("builtins", "tuple"): _listed(tuple),
    ("builtins", "dict"): _pairs,
    ("torch", "Size"): _listed(tuple),
    ("torch", "device"): _text,
    ("torch.serialization", "_get_layout"): _text,
}
_NAMES = {("builtins", "int"), ("builtins", "float"), ("builtins", "str"), ("builtins", "bool"), ("builtins", "object")}


class PlainUnpickler(pickle._Unpickler):
    """Python's own unpickler in Python, with every opcode that calls something replaced."""

    stack: list[Any]
    append: Callable[[Any], None]
    pop_mark: Callable[[], list[Any]]
    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)

    def __init__(
        self,
        file: BinaryIO,
        *,
        views: Views,
        storage: StorageMaker | None = None,
        load_bytes: Callable[[bytes], Any] | None = None,
    ) -> None:
        super().__init__(file, encoding="latin1")
        self._views = views
        self._storage = storage
        self._load_bytes = load_bytes

    def find_class(self, module: str, name: str) -> Any:
        module = "builtins" if module == "__builtin__" else module
        call = _CALLS.get((module, name)) or self._of_torch(module, name)
        if call is not None:
            return Made(call)
        if (module, name) in _NAMES:
            return f"{module}.{name}"
        if module == "torch":
            found = storage_type(name) or dtype(name)
            if found is not None:
                return found
        if module == "torch.storage" and (found := storage_type(name)):
            return found
        if _is_inert(module, name):
            return StubClass(f"{module}.{name}")
        raise Refused(
            f"it wants to use {module}.{name}, which may run code. Nothing was run. Save the weights alone, with "
            "torch.save(model.state_dict(), ...), and the words as a JSON list"
        )

    def _of_torch(self, module: str, name: str) -> Callable[..., Any] | None:
        if module == "torch.storage" and name == "_load_from_bytes":
            return self._nested
        if module != "torch._utils":
            return None
        known: dict[str, Callable[..., Any]] = {
            "_rebuild_tensor": lambda storage, offset, shape, strides: self._views.make(
                storage, offset, shape, strides
            ),
            "_rebuild_tensor_v2": lambda storage, offset, shape, strides, *rest: self._views.make(
                storage, offset, shape, strides
            ),
            "_rebuild_tensor_v3": lambda storage, offset, shape, strides, grad, hooks, kind, *rest: self._views.make(
                storage, offset, shape, strides, kind if isinstance(kind, NumberType) else None
            ),
            "_rebuild_parameter": lambda data, *rest: _tensor(data),
            "_rebuild_parameter_with_state": lambda data, *rest: _tensor(data),
        }
        return known.get(name)

    def _nested(self, content: Any) -> Any:
        if not isinstance(content, bytes) or self._load_bytes is None:
            raise Refused("it holds another file inside a file inside a file")
        return self._load_bytes(content)

    def persistent_load(self, reference: Any) -> Any:
        if self._storage is None:
            raise Unreadable("it refers to storages, but is no file of torch.save")
        if isinstance(reference, tuple) and reference and reference[0] == "module":
            return reference[1]  # with the source text of the class, which nobody needs
        return self._storage(reference)

    def _called(self, function: Any, args: Any) -> Any:
        if not isinstance(args, tuple):
            raise Unreadable("it calls something without arguments")
        if isinstance(function, StubClass):
            return function.make(args)
        if isinstance(function, Made):
            try:
                return function.call(*args)
            except (TypeError, ValueError) as error:
                raise Unreadable(f"it makes something of the wrong parts: {error}") from error
        raise Refused("it calls something that is neither a class nor listed")

    def load_reduce(self) -> None:
        args = self.stack.pop()
        self.stack[-1] = self._called(self.stack[-1], args)

    dispatch[pickle.REDUCE[0]] = load_reduce

    def load_newobj(self) -> None:
        self.load_reduce()

    dispatch[pickle.NEWOBJ[0]] = load_newobj

    def load_newobj_ex(self) -> None:
        self.stack.pop()
        self.load_reduce()

    dispatch[pickle.NEWOBJ_EX[0]] = load_newobj_ex

    def _instantiate(self, found: Any, args: Any) -> None:
        self.append(self._called(found, tuple(args)))

    def load_build(self) -> None:
        state = self.stack.pop()
        made = self.stack[-1]
        if isinstance(made, Stub):
            made.set_state(state)
        elif not isinstance(made, dict | TensorView):  # of these, attributes are not needed: `_metadata` and the like
            raise Refused("it changes the attributes of something that is no object")

    dispatch[pickle.BUILD[0]] = load_build

    def load_appends(self) -> None:
        items = self.pop_mark()
        self._extend(self.stack[-1], items)

    dispatch[pickle.APPENDS[0]] = load_appends

    def load_append(self) -> None:
        item = self.stack.pop()
        self._extend(self.stack[-1], [item])

    dispatch[pickle.APPEND[0]] = load_append

    def load_additems(self) -> None:
        self.load_appends()

    dispatch[pickle.ADDITEMS[0]] = load_additems

    def load_empty_set(self) -> None:
        self.append([])

    dispatch[pickle.EMPTY_SET[0]] = load_empty_set

    def load_frozenset(self) -> None:
        items = self.pop_mark()
        self.append(list(items))

    dispatch[pickle.FROZENSET[0]] = load_frozenset

    @staticmethod
    def _extend(made: Any, items: list[Any]) -> None:
        target = made.items if isinstance(made, Stub) else made
        if not isinstance(target, list):
            raise Refused("it adds items to something that is no list")
        target.extend(items)

    def load_setitems(self) -> None:
        items = self.pop_mark()
        self._set(self.stack[-1], items)

    dispatch[pickle.SETITEMS[0]] = load_setitems

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set(self.stack[-1], [key, value])

    dispatch[pickle.SETITEM[0]] = load_setitem

    @staticmethod
    def _set(made: Any, items: list[Any]) -> None:
        pairs = list(zip(items[::2], items[1::2], strict=True))
        if isinstance(made, Stub):
            made.entries += pairs
        elif isinstance(made, dict):
            for key, value in pairs:
                made[key] = value
        else:
            raise Refused("it sets items of something that is no dictionary")

    def get_extension(self, code: int) -> None:
        raise Refused("it uses the extension registry, which is empty")


def _tensor(data: Any) -> TensorView:
    if not isinstance(data, TensorView):
        raise Unreadable("a parameter is not a tensor")
    return data


def _is_inert(module: str, name: str) -> bool:
    """Whether a name is one of a class that is only noted. Nothing is imported for it."""
    if (module, name) in _HARMLESS | _NOTED:
        return True
    if not _MODULE.fullmatch(module) or module in _DANGEROUS:
        return False
    root = module.partition(".")[0]
    if root == "numpy":
        return name in _NUMPY
    if root in sys.stdlib_module_names and root != "__main__":
        return False
    return _CLASS.fullmatch(name) is not None


def count_opcodes(content: bytes, start: int, bounds: Bounds) -> int:
    """Walk a pickle without running it; returns where it ends. Raises TooLarge or Unreadable."""
    count = 0
    file = BytesIO(content)
    file.seek(start)
    try:
        for count, (opcode, _, _) in enumerate(pickletools.genops(file)):  # noqa: B007
            if count > bounds.opcodes:
                raise TooLarge(f"its pickle has more than {bounds.opcodes} steps")
    except (ValueError, EOFError, OverflowError, MemoryError, UnicodeDecodeError) as error:
        raise Unreadable(f"its pickle is damaged or cut short: {error}") from error
    return file.tell()
