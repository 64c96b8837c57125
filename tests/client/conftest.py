"""Fixtures of the client's tests."""

import io
from pathlib import Path

import pytest
from PIL import Image

from tests.api.conftest import endless, every_kind, every_kind_server

__all__ = ["endless", "every_kind", "every_kind_server"]


@pytest.fixture(scope="session")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small image file."""
    path = tmp_path_factory.mktemp("photos") / "photo.png"
    path.write_bytes(png(3))
    return path


def png(seed: int) -> bytes:
    """An image file that differs with the seed."""
    content = io.BytesIO()
    Image.linear_gradient("L").rotate(31 * seed).resize((64, 64)).save(content, "PNG")
    return content.getvalue()
