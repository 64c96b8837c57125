"""Options of other interfaces that this service does not support: refused by name, unless they have no effect."""

from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema


class Only:
    """In `Annotated[object, Only(...)]`: an option that may only be left out, `null` or one of the `neutral` values."""

    def __init__(self, *neutral: object, instead: str = "leave it out") -> None:
        self._neutral = (None, *neutral)
        self._instead = instead

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        description = f"Not supported: {self._instead}. Values without effect are accepted."
        return {"anyOf": [_exactly(value) for value in self._neutral], "description": description}

    def _check(self, value: Any) -> Any:
        if not any(
            value == neutral and isinstance(value, bool) == isinstance(neutral, bool) for neutral in self._neutral
        ):
            raise PydanticCustomError("unsupported", "{message}", {"message": f"is not supported: {self._instead}"})
        return value


def _exactly(value: object) -> JsonSchemaValue:
    """The schema of one value, in keywords that client generators support."""
    if value is None:
        return {"type": "null"}
    return {"type": "object", "maxProperties": 0} if value == {} else {"const": value}
