"""Heads of requests: from the parts that the parser delivers to an ASGI scope."""

from collections.abc import Sequence
from urllib.parse import unquote

import httptools
from uvicorn._types import HTTPScope

from app.errors import HeadTooLarge, MalformedRequest
from app.server.limits import HEAD_BYTES, HEAD_FIELDS

_UPGRADES = (b"upgrade", b"http2-settings")
_HOST = b"host"
Header = tuple[bytes, bytes]


def complete_scope(scope: HTTPScope, method: bytes, url: bytes, version: str, root_path: str) -> None:
    """Add what the parser knows at the end of a head; the scope has the headers. Raises MalformedRequest."""
    scope["http_version"] = version
    scope["method"] = method.decode("ascii")
    if version == "1.1" and sum(name == _HOST for name, _ in scope["headers"]) != 1:  # RFC 9112, section 3.2
        raise MalformedRequest("the request needs exactly one Host header")
    try:
        parsed = httptools.parse_url(url)
        path = (parsed.path or b"/").decode("ascii")
    except (httptools.HttpParserInvalidURLError, UnicodeDecodeError):
        raise MalformedRequest("the target of the request is not a valid URL; escape other characters") from None
    scope["path"] = root_path + (unquote(path) if "%" in path else path)
    scope["raw_path"] = (root_path + path).encode("ascii")
    scope["query_string"] = parsed.query or b""


def body_length(headers: Sequence[Header]) -> int | None:
    """The length of the body that follows, None if it comes in chunks. Raises MalformedRequest."""
    length = 0
    for name, value in headers:
        if name == b"transfer-encoding":
            if value.strip().lower() != b"chunked":
                raise MalformedRequest("the only Transfer-Encoding is chunked; compress with Content-Encoding")
            return None
        if name == b"content-length":
            length = int(value)
    return length


def without_upgrade(method: bytes, url: bytes, version: str, headers: Sequence[Header]) -> bytes:
    """The head once more, without `Upgrade`."""
    lines = [b"%b %b HTTP/%b" % (method, url, version.encode())]
    for name, value in headers:
        if name == b"connection":
            kept = [token for token in value.split(b",") if token.strip().lower() not in _UPGRADES]
            lines.append(b"connection: " + b",".join(kept))
        elif name not in _UPGRADES:
            lines.append(name + b": " + value)
    return b"\r\n".join([*lines, b"", b""])


def whole_head(method: bytes, url: bytes, version: str, headers: Sequence[Header]) -> bytes:
    """The head once more."""
    lines = [b"%b %b HTTP/%b" % (method, url, version.encode()), *(name + b": " + value for name, value in headers)]
    return b"\r\n".join([*lines, b"", b""])


def head_too_large() -> HeadTooLarge:
    return HeadTooLarge(
        f"the head exceeds {HEAD_BYTES} bytes or {HEAD_FIELDS} fields; send fewer or shorter headers", limit=HEAD_BYTES
    )
