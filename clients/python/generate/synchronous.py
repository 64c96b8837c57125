"""The synchronous half of the client out of the asynchronous one, as httpcore does it: by substitution of words."""

import re

_NOTE = "# Generated from unroll_client/_async by `make client`; change that.\n"
_WORDS = {
    r"AsyncGenerator\[(\w+), None\]": r"Generator[\1, None, None]",
    r"StopAsyncIteration": "StopIteration",
    r"\bAsyncByteStream\b": "SyncByteStream",
    r"\bAsync(?=[A-Z])": "",
    r"\basync (?=def|for|with)": "",
    r"\bawait ": "",
    r"\b__a(?=enter__|exit__|iter__|next__)": "__",
    r"\ba(?=close\b|read\b|iter_bytes\b)": "",
    r"import asyncio\b": "import time",
    r"\basyncio\.sleep\b": "time.sleep",
    r"\b_async\b": "_sync",
    r"\bmake_call_async\b": "make_call",
    r"\brun_tasks\b": "run_threads",
    r"for asyncio\b": "for threads",
    r"Cancelling a call closes its connection\.": "Threads may share a client.",
}


def synchronous(source: str) -> str:
    """Imports may be out of order and lines too short: the formatter mends both."""
    for pattern, replacement in _WORDS.items():
        source = re.sub(pattern, replacement, source)
    return _NOTE + source if source else source
