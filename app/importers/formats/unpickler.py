"""Pickles to plain data.

A pickle is a program that calls functions by name. Here it can call only the functions of `allowed_names`. A class that
it names becomes a `Stub`: its name, its attributes and its items.
"""

import pickle
from collections.abc import Callable
from typing import Any, BinaryIO, ClassVar

from app.importers.formats.allowed_names import CALLS, NAMES, is_inert
from app.importers.formats.refusals import Refused, Unreadable
from app.importers.formats.storages import NumberType, Storage, TensorView, Views, dtype, storage_type
from app.importers.formats.stubs import Stub, StubClass

StorageMaker = Callable[[Any], Storage]


class AllowedCall:
    """A function of ours that a pickle may call."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self.call = call


class PlainUnpickler(pickle._Unpickler):
    """Python's own unpickler, the one in Python, with every opcode replaced that calls something."""

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
        call = CALLS.get((module, name)) or self._of_torch(module, name)
        if call is not None:
            return AllowedCall(call)
        if (module, name) in NAMES:
            return f"{module}.{name}"
        if module == "torch":
            found = storage_type(name) or dtype(name)
            if found is not None:
                return found
        if module == "torch.storage" and (found := storage_type(name)):
            return found
        if is_inert(module, name):
            return StubClass(f"{module}.{name}")
        raise Refused(
            f"it uses {module}.{name}, which could run code; nothing of it was run. Save only the weights, with "
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
            raise Refused("files are nested in it more than twice")
        return self._load_bytes(content)

    def persistent_load(self, reference: Any) -> Any:
        if self._storage is None:
            raise Unreadable("it refers to storages, but torch.save did not write it")
        if isinstance(reference, tuple) and reference and reference[0] == "module":
            return reference[1]  # without the source text of its class, which follows
        return self._storage(reference)

    def _called(self, function: Any, args: Any) -> Any:
        if not isinstance(args, tuple):
            raise Unreadable("it calls something without arguments")
        if isinstance(function, StubClass):
            return function.make(args)
        if isinstance(function, AllowedCall):
            try:
                return function.call(*args)
            except (TypeError, ValueError) as error:
                raise Unreadable(f"it calls a function with the wrong arguments: {error}") from error
        raise Refused("it calls something that is neither a class nor an allowed function")

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
        elif not isinstance(made, dict | TensorView):  # their attributes (`_metadata`) are not needed
            raise Refused("it changes the attributes of something that is not an object")

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
            raise Refused("it adds items to something that is not a list")
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
            raise Refused("it sets items of something that is not a dictionary")

    def get_extension(self, code: int) -> None:
        raise Refused("it uses the extension registry of pickle")


def _tensor(data: Any) -> TensorView:
    if not isinstance(data, TensorView):
        raise Unreadable("a parameter is not a tensor")
    return data
