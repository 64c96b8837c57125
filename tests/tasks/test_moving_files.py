"""Files that move, by their first bytes, against Pillow's number of pictures."""

import io

import pytest
from PIL import Image

from app.tasks.sources.moving_files import may_move
from tests.api.clips import animation, pictures, saved


@pytest.mark.parametrize("kind", ["WEBP", "PNG", "GIF"])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_file_of_several_pictures_moves(kind: str, count: int) -> None:
    content = animation(pictures(count), kind)
    with Image.open(io.BytesIO(content)) as image:
        assert may_move(content) is (kind == "GIF" or image.n_frames > 1)  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["WEBP", "PNG", "JPEG"])
def test_a_still_image_does_not_move(kind: str) -> None:
    content = saved(pictures(1)[0], kind)
    assert not may_move(content)
    assert not any(may_move(content[:length]) for length in range(64))
