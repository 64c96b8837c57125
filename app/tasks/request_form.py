"""The base of every JSON object in a request."""

from typing import Any, ClassVar, get_args

from pydantic import BaseModel, model_validator


class RequestForm(BaseModel):
    """A JSON object in a request. `null` for an optional member means that it is left out, and 5.0 is an integer, as in
    JSON Schema. Members are validated strictly otherwise."""

    _optional: ClassVar[frozenset[str]] = frozenset()
    _integers: ClassVar[frozenset[str]] = frozenset()  # members that are integers, or lists of integers

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        fields = cls.model_fields.items()
        cls._optional = frozenset(name for name, field in fields if not field.is_required())
        cls._integers = frozenset(name for name, field in fields if _has_integers(field.annotation))

    @classmethod
    def without_nulls(cls, values: dict[str, Any]) -> dict[str, Any]:
        """The members that are not left out."""
        return {name: value for name, value in values.items() if value is not None or name not in cls._optional}

    @model_validator(mode="before")
    @classmethod
    def _as_json_schema_reads_it(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        members = cls.without_nulls(values)
        for name in cls._integers & members.keys():
            members[name] = _whole(members[name])
        return members


def _has_integers(annotation: Any) -> bool:
    return annotation is int or any(map(_has_integers, get_args(annotation)))


def _whole(value: Any) -> Any:
    """The value, with whole numbers as integers."""
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
