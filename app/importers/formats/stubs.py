"""Objects of foreign classes, and those classes, in a pickle: inert notes of a name and of values."""

from typing import Any

from app.importers.formats.refusals import ForbiddenName


class Stub:
    """An object of a foreign class; `name` is that of the class."""

    name = ""

    def __init__(self) -> None:
        self.args: tuple[Any, ...] = ()
        self.state: dict[Any, Any] = {}
        self.items: list[Any] = []
        self.entries: dict[Any, Any] = {}

    def set_state(self, state: Any) -> None:
        """Set the attributes, in the forms that `__reduce__` knows; any other value becomes the attribute `state`."""
        parts = state if isinstance(state, tuple) and len(state) == 2 else (state,)
        if all(part is None or isinstance(part, dict) for part in parts):
            for part in parts:
                self.state |= part or {}
        else:
            self.state["state"] = state


class StubClass:
    """A class that a pickle names."""

    def __init__(self, module: str, name: str) -> None:
        self.name = f"{module}.{name}"

    def make(self, args: tuple[Any, ...]) -> Stub:
        stub = Stub()
        stub.name, stub.args = self.name, args
        return stub


class StubFunction(StubClass):
    """A function that a pickle names, for example as an attribute of an object. It cannot be called."""

    def make(self, args: tuple[Any, ...]) -> Stub:
        raise ForbiddenName(self.name)
