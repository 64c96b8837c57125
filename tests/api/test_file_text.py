"""Image files in JSON, as encoders and browsers write them."""

import base64
import io
from urllib.parse import quote, quote_from_bytes

import httpx
import pytest
from PIL import Image

from app.api.file_text import file_content


def png() -> bytes:
    """A file whose base64 has `+`, `/` and padding."""
    file = io.BytesIO()
    Image.effect_noise((40, 31), 80).convert("RGB").save(file, "PNG")
    content = file.getvalue()
    while not base64.b64encode(content).endswith(b"=="):
        content += b"\0"  # after the end of the image
    return content


FILE = png()
STANDARD = base64.b64encode(FILE).decode()
WRITTEN = {
    "standard": STANDARD,
    "lines": base64.encodebytes(FILE).decode(),
    "CRLF": "\r\n".join(STANDARD[place : place + 76] for place in range(0, len(STANDARD), 76)),
    "spaces around": f" \t{STANDARD}\n",
    "for URLs": base64.urlsafe_b64encode(FILE).decode(),
    "no padding": STANDARD.rstrip("="),
    "for URLs, no padding": base64.urlsafe_b64encode(FILE).decode().rstrip("="),
    "data URL": f"data:image/png;base64,{STANDARD}",
    "data URL with parameters": f"data:image/png;name=x.png;charset=utf-8;base64,{STANDARD}",
    "data URL of another type": f"data:application/octet-stream;base64,{STANDARD}",
    "data URL without a type": f"data:;base64,{STANDARD}",
    "data URL in capitals": f"DATA:IMAGE/PNG;BASE64,{STANDARD}",
    "data URL with escapes": f"data:image/png;base64,{quote(STANDARD, safe='')}",
    "data URL with lines": f"data:image/png;base64,\n{base64.encodebytes(FILE).decode()}",
    "data URL with escaped bytes": f"data:image/png,{quote_from_bytes(FILE)}",
}


def tensor(text: str) -> dict[str, object]:
    return {"inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "data": [text]}]}


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN)
def test_a_file_is_read_as_it_was_written(http: httpx.Client, text: str) -> None:
    assert {"+", "/", "="} <= set(STANDARD)
    assert file_content(text) == FILE
    for path, body in (
        ("/v1/caption", {"inputs": text}),
        ("/hf/image-to-text/caption-en", {"inputs": text}),
        ("/v2/models/caption-en/infer", tensor(text)),
    ):
        answer = http.post(path, json=body)
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "text", ["a", "***", "YQ=YQ", "é", "data:abc", "data:;base64,***", STANDARD[:-5] + "!", STANDARD + "A", "%2B%2B"]
)
def test_garbage_is_refused(http: httpx.Client, text: str) -> None:
    for path, body in (
        ("/v1/caption", {"inputs": [STANDARD, text]}),
        ("/hf/image-to-text/caption-en", {"inputs": text}),
        ("/v2/models/caption-en/infer", tensor(text)),
    ):
        answer = http.post(path, json=body)
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-image"), answer.text
