"""Responses that are too large to be encoded or sent in one turn of the event loop."""

from collections.abc import Sequence
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.api.body import JSON
from app.json_pieces import blocks_of, json_pieces
from app.turns import Pauses


class BlocksResponse(Response):
    """A JSON body in blocks, which are sent one after the other: a client that reads slowly is waited for."""

    def __init__(self, blocks: Sequence[bytes]) -> None:
        super().__init__(media_type=JSON, headers={"Content-Length": str(sum(map(len, blocks)))})
        self._blocks = blocks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        pauses = Pauses()
        for left, block in zip(range(len(self._blocks) - 1, -1, -1), self._blocks, strict=True):
            await send({"type": "http.response.body", "body": block, "more_body": left > 0})
            await pauses.pause()


async def response_in_pieces(answer: Any) -> Response:
    """An answer, with members that become JSON piece by piece, as a response."""
    return BlocksResponse(await blocks_of(json_pieces(answer)))
