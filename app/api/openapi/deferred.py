"""Parts of the OpenAPI document that are made with it: most services are never asked for it."""

from collections.abc import Callable, ItemsView
from typing import Any


class Deferred(dict[str, Any]):
    """Members of an operation beyond those that FastAPI sees (`openapi_extra`). It is empty until FastAPI reads its
    items for the document; then it has what `make` returns."""

    def __init__(self, make: Callable[[], dict[str, Any]]) -> None:
        super().__init__()
        self._make = make

    def __bool__(self) -> bool:
        return True

    def items(self) -> ItemsView[str, Any]:  # type: ignore[override]
        """All members."""
        if not len(self):
            self.update(self._make())
        return super().items()
