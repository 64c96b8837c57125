"""Schemathesis sends bodies of JSON lines: a string as it is, another value as a line."""

import json

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(context: schemathesis.SerializationContext, value: object) -> bytes:
    return (value if isinstance(value, str) else json.dumps(value) + "\n").encode(errors="surrogatepass")
