"""The base of every JSON object in a request."""

from typing import Any, ClassVar, get_args

from pydantic import BaseModel, GetCoreSchemaHandler, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, PydanticCustomError

_MOST_UNKNOWN = 100  # members beside the known ones that are read one by one


def _fail_fast(schema: Any) -> None:
    """Let every list in a schema of pydantic end its validation at the first mistake."""
    if isinstance(schema, dict):
        if schema.get("type") == "list":
            schema["fail_fast"] = True
        for part in schema.values():
            _fail_fast(part)
    elif isinstance(schema, list | tuple):
        for part in schema:
            _fail_fast(part)


class RequestForm(BaseModel):
    """A JSON object in a request. `null` for an optional member means that it is left out, and 5.0 is an integer, as in
    JSON Schema. Members are validated strictly otherwise. A list is refused at its first mistake, since a long one may
    have millions."""

    _optional: ClassVar[frozenset[str]] = frozenset()
    _integers: ClassVar[frozenset[str]] = frozenset()  # members that are integers, or lists of integers

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        fields = cls.members().items()
        cls._optional = frozenset(name for name, field in fields if not field.is_required())
        cls._integers = frozenset(name for name, field in fields if _has_integers(field.annotation))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        _fail_fast(schema)
        return schema

    @classmethod
    def members(cls) -> dict[str, FieldInfo]:
        """Its fields by their names in JSON."""
        return {field.alias or name: field for name, field in cls.model_fields.items()}

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
        cls._check_known(members)
        for name in cls._integers & members.keys():
            members[name] = _whole(members[name])
        return members

    @classmethod
    def _check_known(cls, members: dict[str, Any]) -> None:
        """Raises PydanticCustomError for many unknown members: they are not listed one by one."""
        if len(members) > len(cls.members()) + _MOST_UNKNOWN:
            known = ", ".join(cls.members())
            raise PydanticCustomError(
                "unknown_members", f"has {len(members)} members; the members are {known}: leave out the others"
            )


def _has_integers(annotation: Any) -> bool:
    return annotation is int or any(map(_has_integers, get_args(annotation)))


def _whole(value: Any) -> Any:
    """The value, with whole numbers as integers."""
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
