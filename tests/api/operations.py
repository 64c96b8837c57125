"""The operations of the OpenAPI document, from which tests derive their requests."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from app.api.pieces.answers import NDJSON
from app.api.problems import MEDIA_TYPE
from app.main import create_app
from app.settings import Settings

DOCUMENT: dict[str, Any] = create_app(Settings(), engines=[]).openapi()
ADMIN_KEY = "the key of the tests"
JSON = "application/json"


@dataclass(frozen=True)
class Operation:
    """A method of a path. Path parameters have the values of their examples."""

    method: str
    path: str
    described: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.described["operationId"])

    @property
    def url(self) -> str:
        values = {item["name"]: example_of(item) for item in self.parameters if item["in"] == "path"}
        return self.path.format_map(values)

    @property
    def parameters(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.described.get("parameters", [])
        return found

    @property
    def bodies(self) -> dict[str, dict[str, Any]]:
        """The content of its request body, by media type."""
        found: dict[str, dict[str, Any]] = self.described.get("requestBody", {}).get("content", {})
        return found

    @property
    def takes_pieces(self) -> bool:
        """Whether its body comes piece by piece; `test_pieces.py` sends such bodies."""
        return NDJSON in self.bodies

    @property
    def examples(self) -> dict[str, dict[str, Any]]:
        """The examples of its JSON body by name."""
        found: dict[str, dict[str, Any]] = self.bodies.get(JSON, {}).get("examples", {})
        return found

    def problems(self) -> set[tuple[int, str]]:
        """Status and type of each documented problem."""
        return {
            (int(status), example["value"]["type"])
            for status, answer in self.described["responses"].items()
            for example in answer.get("content", {}).get(MEDIA_TYPE, {}).get("examples", {}).values()
        }


def example_of(parameter: dict[str, Any]) -> Any:
    """The value of a parameter's only or first example."""
    if "example" in parameter:
        return parameter["example"]
    return next(iter(parameter["examples"].values()))["value"]


def _operations() -> Iterator[Operation]:
    """With the responses to which the document refers."""
    shared = {f"#/components/responses/{name}": answer for name, answer in DOCUMENT["components"]["responses"].items()}
    for path, item in DOCUMENT["paths"].items():
        for method, described in item.items():
            responses = {
                status: shared[answer["$ref"]] if "$ref" in answer else answer
                for status, answer in described["responses"].items()
            }
            yield Operation(method.upper(), path, described | {"responses": responses})


OPERATIONS = list(_operations())
BY_NAME = {operation.name: operation for operation in OPERATIONS}
