"""Security headers for browsers: a plain ASGI middleware that adds them to all responses."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ALWAYS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
}
_OF_RESPONSES = {
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cache-control": b"no-store",  # responses are private to their caller
}
_OF_FILES = {
    b"content-security-policy": b"default-src 'self'; frame-ancestors 'none'",
    b"cache-control": b"no-cache",  # cached and revalidated, so that an update never mixes versions
}
FILES = "/assets/"


class SecurityHeaders:
    """Adds each header that a response does not set itself; pages set policies of their own. `hsts_seconds` is the
    `max-age` of Strict-Transport-Security; 0 omits the header."""

    def __init__(self, app: ASGIApp, hsts_seconds: int = 0) -> None:
        self._app = app
        self._of_responses = headers_of_responses(hsts_seconds)
        self._of_files = [*_always(hsts_seconds), *_OF_FILES.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = self._of_files if scope["path"].startswith(FILES) else self._of_responses

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = message["headers"]
                names = {name for name, _ in present}
                message = {**message, "headers": [*present, *(header for header in headers if header[0] not in names)]}
            await send(message)

        await self._app(scope, receive, guarded)


def headers_of_responses(hsts_seconds: int) -> list[tuple[bytes, bytes]]:
    """The headers of a response that sets none of them."""
    return [*_always(hsts_seconds), *_OF_RESPONSES.items()]


def _always(hsts_seconds: int) -> list[tuple[bytes, bytes]]:
    hsts = [(b"strict-transport-security", f"max-age={hsts_seconds}".encode())] if hsts_seconds else []
    return [*_ALWAYS.items(), *hsts]
