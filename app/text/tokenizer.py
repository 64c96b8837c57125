"""Text to token ids and back, as a version's manifest says. Free of torch."""

from pathlib import Path

from tokenizers import Tokenizer

from app.errors import InvalidManifest
from app.store.manifest import TokenizerUse


class SubwordTokenizer:
    """A tokenizer file of the `tokenizers` library, with the ids that a source ends in."""

    def __init__(self, folder: Path, use: TokenizerUse) -> None:
        try:
            self._tokenizer = Tokenizer.from_file(str(folder / use.file))
        except Exception as error:  # the library raises plain Exception
            raise InvalidManifest(f"{use.file} is not a tokenizer: {error}") from error
        self._tokenizer.encode_special_tokens = True  # "<eos>" in a text is five letters, not the end
        self._append = list(use.append)

    def encode(self, text: str) -> list[int]:
        """Source ids of one text; empty for a text without any token, whatever is appended to others."""
        ids = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids + self._append if ids else []

    def decode(self, ids: list[int]) -> str:
        """Text of emitted ids."""
        return self._tokenizer.decode(ids, skip_special_tokens=False).strip()
