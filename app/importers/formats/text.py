"""Text: JSON, or words, one a line. The last format that is tried: it matches every file."""

import json
from typing import Any

from app.importers.formats.bounds import Bounds
from app.importers.formats.refusals import Unreadable
from app.importers.formats.unpickling import Unpickling


def matches(content: bytes, bounds: Bounds) -> bool:
    return True


def parse(content: bytes, unpickling: Unpickling) -> Any:
    if content[257:262] == b"ustar":
        raise Unreadable("it is a tar archive; open the file with torch and save its state_dict() again")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(
            "its format is unknown; the known ones are torch.save, pickle, safetensors, JSON and a list of words"
        ) from error
    if text.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise Unreadable(f"it is not valid JSON: {error}") from error
    lines = text.splitlines()
    if not any(lines):
        raise Unreadable("it is empty")
    return lines
