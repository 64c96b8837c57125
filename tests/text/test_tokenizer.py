"""Text to ids and back."""

from pathlib import Path

import pytest

from app.errors import InvalidManifest
from app.store.text_input import TokenizerUse
from app.text.tokenizer import TextTokenizer
from tests.tiny_store import TEXTS, tiny_tokenizer


@pytest.fixture
def tokenizer(tmp_path: Path) -> TextTokenizer:
    return TextTokenizer(tmp_path, TokenizerUse(file=tiny_tokenizer(tmp_path).name, append=(2,)))


@pytest.mark.parametrize("text", [*TEXTS, "unseen: ünïcödé, 漢字 and 😀", "%s: 12.5%", "a  b"])
def test_what_is_encoded_decodes_to_itself(tokenizer: TextTokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert ids[-1] == 2
    assert tokenizer.decode(ids[:-1]) == text


def test_decomposed_hangul_is_the_same_text(tokenizer: TextTokenizer) -> None:
    assert tokenizer.encode("영화") == tokenizer.encode("\u110b\u1167\u11bc\u1112\u116a")


def test_nothing_stays_nothing(tokenizer: TextTokenizer) -> None:
    assert tokenizer.encode("") == []


def test_a_file_that_is_no_tokenizer_is_refused(tmp_path: Path) -> None:
    tmp_path.joinpath("tokenizer.json").write_text("{}")
    with pytest.raises(InvalidManifest):
        TextTokenizer(tmp_path, TokenizerUse())
