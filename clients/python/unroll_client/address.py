"""Where a client sends its requests, and with which key."""

import os
from functools import cache
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    import ssl

    import httpx

API_KEY = "UNROLL_API_KEY"
DEFAULT_URL = "http://127.0.0.1:8000"


class ClientArguments(TypedDict):
    """Arguments of `httpx.Client` and `httpx.AsyncClient`."""

    base_url: str
    headers: dict[str, str]
    limits: "httpx.Limits"
    verify: "ssl.SSLContext"


def client_arguments(url: str, api_key: str | None) -> ClientArguments:
    """Without `api_key` the key comes from the environment. Raises ValueError."""
    import httpx

    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"{url!r} is not a URL: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError(f"{url!r} is not the URL of a service; it starts with http:// or https:// and a host")
    headers = {"User-Agent": "unroll-client"}
    if key := (os.environ.get(API_KEY, "") if api_key is None else api_key).strip():
        headers["Authorization"] = f"Bearer {key}"
    limits = httpx.Limits(max_connections=None)
    return {"base_url": url, "headers": headers, "limits": limits, "verify": _certificates()}


@cache
def _certificates() -> "ssl.SSLContext":
    """The trusted certificates. The clients of a process share them, because loading them takes 25 ms."""
    import httpx

    return httpx.create_ssl_context()
