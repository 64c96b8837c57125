"""Pickles to plain data.

A pickle is a program that calls functions by name. Here it can call only the functions of `allowed_calls`. A class that
it names becomes a `Stub`: its name, its attributes and its items.
"""

import pickle
from collections.abc import Callable
from typing import Any, BinaryIO, ClassVar

from app.importers.formats.allowed_calls import AllowedCall, AllowedCalls
from app.importers.formats.allowed_names import NAMES, stub_of
from app.importers.formats.bounds import Bounds
from app.importers.formats.joblib_arrays import WRAPPER, read_array
from app.importers.formats.keys import Keys
from app.importers.formats.refusals import ForbiddenName, Refused, TooLarge, Unreadable
from app.importers.formats.storages import Storage, TensorView, Views, dtype, storage_type
from app.importers.formats.stubs import Stub, StubClass

StorageMaker = Callable[[Any], Storage]


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
        bounds: Bounds,
        views: Views,
        storage: StorageMaker | None = None,
        load_bytes: Callable[[bytes], Any] | None = None,
    ) -> None:
        super().__init__(file, encoding="latin1")
        self._file = file
        self._bounds = bounds
        self._views = views
        self._storage = storage
        self._keys = Keys()
        self._calls = AllowedCalls(views, self._keys, load_bytes)
        self._depth = 0

    def load(self) -> Any:
        """As in Python's own, with a limit of steps."""
        self._unframer = pickle._Unframer(self._file.read, self._file.readline)  # type: ignore[attr-defined]
        self.read, self.readinto, self.readline = (
            self._unframer.read,
            self._unframer.readinto,
            self._unframer.readline,
        )
        self.metastack: list[Any] = []
        self.stack = []
        self.append = self.stack.append
        self.proto = 0
        read, dispatch = self.read, self.dispatch
        try:
            for _ in range(self._bounds.opcodes):
                dispatch[read(1)[0]](self)
        except pickle._Stop as stop:  # type: ignore[attr-defined]
            return stop.value
        raise TooLarge(f"its pickle has more than {self._bounds.opcodes} steps")

    def find_class(self, module: str, name: str) -> Any:
        module = "builtins" if module == "__builtin__" else module
        call = self._calls.get(module, name)
        if call is not None:
            return call
        if (module, name) in NAMES:
            return f"{module}.{name}"
        if module == "torch":
            found = storage_type(name) or dtype(name)
            if found is not None:
                return found
        if module == "torch.storage" and (found := storage_type(name)):
            return found
        found_stub = stub_of(module, name)
        if found_stub is None:
            raise ForbiddenName(f"{module}.{name}")
        return found_stub

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
            if made.name == WRAPPER:
                self.stack[-1] = read_array(made.state, self._file, self._views, self._inner_pickle)
        elif not isinstance(made, dict | TensorView):  # their attributes (`_metadata`) are not needed
            raise Refused("it changes the attributes of something that is not an object")

    dispatch[pickle.BUILD[0]] = load_build

    def _inner_pickle(self) -> Any:
        """The objects of an array, which joblib writes as a pickle in the middle of its own."""
        inner = PlainUnpickler(self._file, bounds=self._bounds, views=self._views)
        inner._depth = self._depth + 1
        if inner._depth > 3:
            raise Refused("pickles are nested in it more than twice")
        return inner.load()

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

    def load_dict(self) -> None:
        items = self.pop_mark()
        self.append(self._keys.pairs(zip(items[::2], items[1::2], strict=True)))

    dispatch[pickle.DICT[0]] = load_dict

    def _set(self, made: Any, items: list[Any]) -> None:
        target = made.entries if isinstance(made, Stub) else made
        if not isinstance(target, dict):
            raise Refused("it sets items of something that is not a dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            self._keys.put(target, key, value)

    def get_extension(self, code: int) -> None:
        raise Refused("it uses the extension registry of pickle")
