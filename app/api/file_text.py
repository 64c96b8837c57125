"""Files in JSON: base64 as any of the usual encoders write it, or a `data:` URL."""

import base64
import string
from urllib.parse import unquote_to_bytes

_SPACE = string.whitespace.encode()
_STANDARD = bytes.maketrans(b"-_", b"+/")  # from the alphabet for URLs and file names
_BASE64 = ";base64"


def file_content(text: str) -> bytes:
    """The bytes of a file. Base64 may have line breaks, either alphabet, and no padding. Raises ValueError."""
    text = text.lstrip()
    if text[:5].lower() != "data:":
        return _from_base64(text.encode())
    header, comma, content = text.partition(",")
    if not comma:
        raise ValueError("a data URL has a comma before its content")
    plain = unquote_to_bytes(content)
    if header.rstrip().lower().endswith(_BASE64):
        return _from_base64(plain)
    if "%" not in content:
        raise ValueError("a data URL has ;base64 before its comma, or % before each byte that is not ASCII")
    return plain


def is_image_url(text: str) -> bool:
    """Whether a text is an image in a `data:` URL."""
    return text[:40].lstrip().lower().startswith("data:image/")


def _from_base64(content: bytes) -> bytes:
    digits = content.translate(_STANDARD, delete=_SPACE).rstrip(b"=")
    return base64.b64decode(digits + b"=" * (-len(digits) % 4), validate=True)
