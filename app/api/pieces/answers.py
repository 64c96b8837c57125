"""The answers to a stream of pieces: a line of JSON for each, sent as it is known."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.api.access.guard import CALLER, Caller
from app.api.body import media_type, unsupported_content
from app.api.pieces.lines import Lines
from app.api.pieces.opening import READ_PIECES
from app.api.pieces.reading import BodyReader, PieceReader
from app.api.problems import problem_of, response_of
from app.api.service import Service
from app.errors import EmptyInput
from app.tasks.task import Task

NDJSON = "application/x-ndjson"
_TYPES = (NDJSON, "application/ndjson", "application/jsonl")
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # the second keeps nginx from buffering
log = logging.getLogger("unroll.api")


class PieceAnswers(Response):
    """A line for each piece. A mistake in the first piece is answered with its problem alone; a later one is the
    last line, `{"error": problem}`."""

    media_type = NDJSON

    def __init__(self, task: Task, body: BodyReader, request: Request, service: Service) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._task = task
        self._body = body
        self._request = request
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False
        try:
            async with aclosing(self._answers(scope)) as answers:
                async for block in answers:
                    if not has_begun:
                        has_begun = True
                        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                    await send({"type": "http.response.body", "body": block, "more_body": True})
        except Exception as error:
            if not has_begun:  # of a client that is gone the log has the status
                await (await response_of(self._request, error))(scope, receive, send)
                return
            if isinstance(error, ClientDisconnect):
                raise
            await send({"type": "http.response.body", "body": await self._failure(error), "more_body": True})
        await send({"type": "http.response.body"})

    async def _answers(self, scope: Scope) -> AsyncGenerator[bytes, None]:
        if media_type(self._request) not in _TYPES:
            raise unsupported_content(self._request, NDJSON)
        caller: Caller | None = scope.get(CALLER)
        streams = self._service.streams
        with streams.one_more(caller.name if caller is not None and caller.key is not None else None):
            if (read_pieces := scope.pop(READ_PIECES.key, None)) is not None:
                read_pieces()
            lines = Lines(self._request.receive, streams.piece_bytes)
            reader = PieceReader(self._task, self._body, self._request, self._service, lines)
            following = asyncio.create_task(lines.follow())
            try:
                if (line := await lines.next()) is None:
                    raise EmptyInput("the stream has no piece; send a line of JSON with inputs")
                while line is not None:
                    *blocks, last = await reader.answer(line)
                    for block in blocks:
                        yield block
                    yield last + b"\n"
                    line = await lines.next()
            finally:
                following.cancel()

    async def _failure(self, error: Exception) -> bytes:
        """The last line of a stream that fails."""
        if isinstance(error, RequestValidationError):
            problem: Any = json.loads(bytes((await response_of(self._request, error)).body))
        else:
            problem = problem_of(error)
        if problem["status"] == 500:
            log.error("%s/stream failed", self._task.face.path, exc_info=error)
        return json.dumps({"error": problem}, ensure_ascii=False).encode() + b"\n"
