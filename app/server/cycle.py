"""One request and its response: uvicorn's cycle, whose reading can fail with an error of ours."""

from uvicorn._types import ASGIReceiveEvent
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from app.errors import UnrollError
from app.server.bodies import Body


class Cycle(RequestResponseCycle):
    """`arriving` is its body, if it has one. `fail` makes `receive` raise, so that the application answers with the
    problem of the error."""

    arriving: Body | None = None
    failure: UnrollError | None = None

    async def receive(self) -> ASGIReceiveEvent:
        event = await super().receive()
        if self.failure is not None and event["type"] == "http.request":
            raise self.failure
        return event

    def fail(self, error: UnrollError) -> None:
        """Give up the rest of the body."""
        self.failure = error
        self.keep_alive = False
        self.message_event.set()
