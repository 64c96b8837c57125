"""Text: JSON, or words, one a line. The last format that is tried: it matches every file."""

import json
from typing import Any

from app.importers.formats.bounds import Bounds
from app.importers.formats.refusals import Unreadable
from app.importers.formats.unpickling import Unpickling


def matches(content: bytes, bounds: Bounds) -> bool:
    return True


def parse(content: bytes, unpickling: Unpickling) -> Any:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(
            "its format is unknown. The known ones are files of torch.save, Keras (.keras, .h5), safetensors, ONNX, "
            "numpy (.npy, .npz), joblib and pickle, and JSON and lists of words in UTF-8"
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
