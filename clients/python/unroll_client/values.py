"""Values read from JSON: frozen dataclasses whose annotations say what a member may be."""

from dataclasses import MISSING, dataclass, fields
from functools import cache
from types import UnionType
from typing import Any, Self, get_args, get_origin, get_type_hints

_SCALARS: dict[Any, tuple[type, ...]] = {
    str: (str,),
    bool: (bool,),
    int: (int,),
    float: (int, float),
    type(None): (type(None),),
}


@dataclass(frozen=True, kw_only=True)
class Value:
    """The members of a JSON object. Members that this client does not know are kept as attributes."""

    @classmethod
    def read(cls, content: object, place: str = "") -> Self:
        """Raises ValueError, with the place of the member that is wrong."""
        if not isinstance(content, dict):
            raise ValueError(f"{place or 'the answer'} is not an object")
        kind: type = cls
        annotations = _annotations(kind)
        members = {}
        for field in fields(cls):
            where = f"{place}.{field.name}".removeprefix(".")
            if field.name in content:
                members[field.name] = _read(annotations[field.name], content[field.name], where)
            elif field.default is MISSING:
                raise ValueError(f"{where} is missing")
        value = cls(**members)
        vars(value).update((name, item) for name, item in content.items() if name not in annotations)
        return value

    def to_dict(self) -> dict[str, Any]:
        """The members as JSON has them; members that are None are left out."""
        return {name: _plain(item) for name, item in vars(self).items() if item is not None}


@cache
def _annotations(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _read(annotation: Any, content: Any, place: str) -> Any:
    """`content`, checked against the annotation of a member, with its objects as values."""
    arguments = get_args(annotation)
    if get_origin(annotation) is UnionType:
        return _read_one_of(arguments, content, place)
    if get_origin(annotation) is list:
        return _read_list(arguments[0], content, place)
    if get_origin(annotation) is dict:
        _check(dict, isinstance(content, dict), place)
        return {name: _read(arguments[1], item, f"{place}.{name}") for name, item in content.items()}
    if annotation in _SCALARS:
        _check(annotation, isinstance(content, _SCALARS[annotation]), place)
        return float(content) if annotation is float else content
    assert issubclass(annotation, Value)
    return annotation.read(content, place)


def _read_one_of(annotations: tuple[Any, ...], content: Any, place: str) -> Any:
    """`content` as the first annotation that fits it."""
    first_error = None
    for annotation in annotations:
        try:
            return _read(annotation, content, place)
        except ValueError as error:
            first_error = first_error or error
    assert first_error is not None
    raise first_error


def _read_list(annotation: Any, content: Any, place: str) -> list[Any]:
    _check(list, isinstance(content, list), place)
    if annotation in _SCALARS:  # rows of activations are long, so their numbers are checked without a call for each
        _check(annotation, all(isinstance(item, _SCALARS[annotation]) for item in content), place)
        return list(content)
    return [_read(annotation, item, f"{place}.{number}") for number, item in enumerate(content)]


def _check(expected: Any, is_right: bool, place: str) -> None:
    if not is_right:
        raise ValueError(f"{place} is not of type {expected.__name__}")


def _plain(item: Any) -> Any:
    if isinstance(item, Value):
        return item.to_dict()
    if isinstance(item, list):
        return [_plain(element) for element in item]
    if isinstance(item, dict):
        return {name: _plain(element) for name, element in item.items()}
    return item
