"""Headers that tell a browser what it must not do with an answer: a plain ASGI middleware over all of them."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ALWAYS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
}
_OF_ANSWERS = {
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cache-control": b"no-store",  # what was asked and answered is nobody else's
}
_OF_FILES = {
    b"content-security-policy": b"default-src 'self'; frame-ancestors 'none'",
    b"cache-control": b"no-cache",  # kept, and asked about: after an update no page is half old
}
FILES = "/assets/"


class SecurityHeaders:
    """Adds to each answer what it does not say itself; pages have policies of their own. `hsts_seconds` above 0 tell
    browsers to come over TLS alone for so long."""

    def __init__(self, app: ASGIApp, hsts_seconds: int = 0) -> None:
        self._app = app
        always = dict(_ALWAYS)
        if hsts_seconds:
            always[b"strict-transport-security"] = f"max-age={hsts_seconds}".encode()
        self._of_answers = list((always | _OF_ANSWERS).items())
        self._of_files = list((always | _OF_FILES).items())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = self._of_files if scope["path"].startswith(FILES) else self._of_answers

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = message["headers"]
                names = {name for name, _ in said}
                message = {**message, "headers": [*said, *(header for header in headers if header[0] not in names)]}
            await send(message)

        await self._app(scope, receive, guarded)
