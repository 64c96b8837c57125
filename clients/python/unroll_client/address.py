"""What both clients are made of: where they ask, with which key, on which terms."""

import os
from typing import TypedDict

import httpx

from unroll_client.exchange import Terms
from unroll_client.policy import Retries, Timeout

API_KEY = "UNROLL_API_KEY"
DEFAULT_URL = "http://127.0.0.1:8000"
MOST_INPUTS = 256  # what the service takes at once unless it is told otherwise
CONCURRENCY = 4


class HttpArguments(TypedDict):
    """Of httpx's clients, one and the other."""

    base_url: str
    headers: dict[str, str]
    limits: httpx.Limits


def http_arguments(url: str, api_key: str | None) -> HttpArguments:
    """Without a key that of the environment is sent. Raises ValueError."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"{url!r} is no URL: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError(f"{url!r} is no URL of a service; it begins with http:// or https:// and a host")
    headers = {"User-Agent": "unroll-client"}
    if key := (os.environ.get(API_KEY, "") if api_key is None else api_key).strip():
        headers["Authorization"] = f"Bearer {key}"
    return {"base_url": url, "headers": headers, "limits": httpx.Limits(max_connections=None)}


def terms_of(timeout: Timeout | float | None, retries: Retries | int, most_inputs: int) -> Terms:
    """A number is the `total` of the timeout, or the `attempts` of the retries. Raises ValueError."""
    if not isinstance(timeout, Timeout):
        timeout = Timeout(total=timeout)
    if not isinstance(retries, Retries):
        retries = Retries(attempts=retries)
    if most_inputs < 1 or retries.attempts < 1:
        raise ValueError("most_inputs and the attempts are at least 1")
    return Terms(timeout, retries, most_inputs)
