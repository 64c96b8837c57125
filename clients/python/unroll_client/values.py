"""Values read from JSON: frozen dataclasses whose annotations say what a member may be."""

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from functools import cache
from types import UnionType
from typing import Any, Self, get_args, get_origin, get_type_hints

_Reader = Callable[[Any], Any]  # raises ValueError with the place of the member, and what is wrong with it
_SCALARS: dict[Any, set[type]] = {str: {str}, bool: {bool}, int: {int}, float: {int, float}, type(None): {type(None)}}


@dataclass(frozen=True, kw_only=True)
class Value:
    """The members of a JSON object. Members that this client does not know are kept as attributes."""

    @classmethod
    def read(cls, content: object) -> Self:
        """Raises ValueError, with the place of the member that is wrong."""
        try:
            value: Self = _read_members(cls, content)
            return value
        except ValueError as error:
            raise ValueError(str(error).lstrip(". ")) from None

    def to_dict(self) -> dict[str, Any]:
        """The members as JSON has them; members that are None are left out."""
        return {name: _plain(item) for name, item in vars(self).items() if item is not None}


def _read_members(kind: Any, content: object) -> Any:
    if not isinstance(content, dict):
        raise ValueError(" is not an object")
    members = dict(content)
    for name, (read, is_required) in _readers(kind).items():
        if name in members:
            members[name] = _read_at(name, read, members[name])
        elif is_required:
            raise ValueError(f".{name} is missing")
    value: Any = object.__new__(kind)  # `__init__` refuses unknown members; defaults are class attributes
    vars(value).update(members)
    return value


@cache
def _readers(kind: Any) -> dict[str, tuple[_Reader, bool]]:
    """For each member its reader, and whether it is required."""
    annotations = get_type_hints(kind)
    return {field.name: (_reader(annotations[field.name]), field.default is MISSING) for field in fields(kind)}


def _reader(annotation: Any) -> _Reader:
    arguments = get_args(annotation)
    if get_origin(annotation) is UnionType:
        return _first_of([_reader(argument) for argument in arguments])
    if get_origin(annotation) is list:
        return _list_of(arguments[0])
    if get_origin(annotation) is dict:
        return _dict_of(_reader(arguments[1]))
    if annotation in _SCALARS:
        return _scalar(annotation)
    assert issubclass(annotation, Value)
    return lambda content: _read_members(annotation, content)


def _scalar(kind: Any) -> _Reader:
    types = _SCALARS[kind]

    def read(content: Any) -> Any:
        if type(content) not in types:
            raise ValueError(f" is not of type {kind.__name__}")
        return float(content) if kind is float else content

    return read


def _first_of(readers: list[_Reader]) -> _Reader:
    """The first alternative that fits; the error of the first one if none fits."""

    def read(content: Any) -> Any:
        for alternative in readers:
            try:
                return alternative(content)
            except ValueError:
                continue
        return readers[0](content)

    return read


def _list_of(item: Any) -> _Reader:
    read_item = _reader(item)

    def read(content: Any) -> Any:
        if not isinstance(content, list):
            raise ValueError(" is not of type list")
        if item in _SCALARS and set(map(type, content)) <= _SCALARS[item]:
            return content  # a row of activations is long: no call for each number
        return [_read_at(number, read_item, element) for number, element in enumerate(content)]

    return read


def _dict_of(read_item: _Reader) -> _Reader:
    def read(content: Any) -> Any:
        if not isinstance(content, dict):
            raise ValueError(" is not of type dict")
        return {name: _read_at(name, read_item, element) for name, element in content.items()}

    return read


def _read_at(place: str | int, read: _Reader, content: Any) -> Any:
    try:
        return read(content)
    except ValueError as error:
        raise ValueError(f".{place}{error}") from None


def _plain(item: Any) -> Any:
    if isinstance(item, Value):
        return item.to_dict()
    if isinstance(item, list):
        return [_plain(element) for element in item]
    if isinstance(item, dict):
        return {name: _plain(element) for name, element in item.items()}
    return item
