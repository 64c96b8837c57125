"""minimaxir/textgenrnn (2.0 and before): `NAME_weights.hdf5`, `NAME_vocab.json` and `NAME_config.json`.

Each step reads the last 40 characters (or words) with zeros before them; a text begins and ends with <s>."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.importers.checkpoint import Checkpoint
from app.importers.keras.language_models import window_language_model
from app.importers.keras.textgenrnn import is_textgenrnn
from app.importers.keras.words import described
from app.importers.layout import Converted, Given, Needs, Understanding, require
from app.importers.layouts.keras_language_model import KerasLanguageModel, unspelt_ids
from app.importers.options import Option
from app.importers.text_rules.characters import characters
from app.importers.text_rules.words import words
from app.importers.tokenizer import Vocabulary
from app.importers.vocabularies import Role
from app.store.decoding import Decoding, TokenLimits
from app.store.text_input import Replacement
from app.text.word_tokenizers import no_word

_META = "<s>"
_PUNCTUATION = r"""([!"#$%&()*+,\-./:;<=>?@\[\]^_`{|}~\n\t'‘’“”–—])"""
_MOST_WINDOW = 1_000
_MOST_TOKENS = 1_000


class Textgenrnn(KerasLanguageModel):
    """Characters that the vocabulary lacks have id 0, as the padding has. It is never decoded."""

    name = "textgenrnn"
    source = "minimaxir/textgenrnn"
    vocabularies: Sequence[Role] = ("source",)

    def matches(self, checkpoint: Checkpoint) -> bool:
        return len(checkpoint.keras) == 1 and is_textgenrnn(checkpoint.keras[0])

    def understanding(self, checkpoint: Checkpoint) -> Understanding:
        return described(self.understood(checkpoint))

    def options(self, checkpoint: Checkpoint) -> Sequence[Option]:
        config = _config(checkpoint)
        return [
            Option(
                "window",
                "ids that each step reads (max_length of the config)",
                str(config.get("max_length", 40)),
                kind="whole",
                most=_MOST_WINDOW,
                assumed=True,
            ),
            Option(
                "tokens",
                "characters or words (word_level of the config)",
                "words" if config.get("word_level") else "characters",
                ("characters", "words"),
                assumed=True,
            ),
            Option(
                "start",
                "what a text begins with: <s>, or padding (single_text of the config)",
                "padding" if config.get("single_text") else _META,
                (_META, "padding"),
                assumed=True,
            ),
            Option(
                "max_tokens",
                "usual number of tokens in an answer",
                "300",
                kind="whole",
                most=_MOST_TOKENS,
                assumed=True,
            ),
        ]

    def needs(self, checkpoint: Checkpoint, chosen: Mapping[str, str]) -> Needs:
        return Needs(self.vocabularies, rows={"source": self.understood(checkpoint).outputs})

    def convert(self, checkpoint: Checkpoint, given: Given) -> Converted:
        values = given.values
        architecture, tensors = window_language_model(
            self.understood(checkpoint), window=values.number("window"), pad=0
        )
        rows, listed = architecture.vocabulary_size, list(given.words["source"])
        require(
            len(listed) == rows,
            f"the vocabulary has ids up to {len(listed) - 1}, and the network up to {rows - 1}: give the vocabulary "
            "that was saved with these weights",
        )
        listed[0] = no_word(0)
        starts = values.text("start") == _META
        require(_META in listed or not starts, f"the vocabulary has no {_META}: add --set start=padding")
        meta = listed.index(_META) if _META in listed else None
        start = meta if meta is not None and starts else 0
        vocabulary = _words(listed) if values.text("tokens") == "words" else characters(listed, unknown=0)
        hidden = () if meta is None else (meta,)
        use = vocabulary.use.model_copy(update={"prepend": (start,), "empty": "read", "hidden": hidden})
        return Converted(
            architecture,
            tensors,
            source=Vocabulary(vocabulary.tokenizer, use),
            decoding=Decoding(
                bos=start,
                eos=-1 if meta is None else meta,
                fixed_steps=meta is None,
                max_tokens=values.number("max_tokens"),
                forbidden=unspelt_ids(vocabulary, rows),
            ),
            limits=TokenLimits(max_tokens=_MOST_TOKENS),
        )


def _words(listed: Sequence[str]) -> Vocabulary:
    """Words in lower case; punctuation marks are words."""
    cleaning = (Replacement(pattern=_PUNCTUATION, by=r" \1 "),)
    return words(listed, "spaces_lower", rows=len(listed), unknown=0, cleaning=cleaning)


def _config(checkpoint: Checkpoint) -> Mapping[str, Any]:
    """The settings of the config among the files; none if it is not there."""
    for plain in checkpoint.files:
        if isinstance(plain, Mapping) and "max_length" in plain and "rnn_layers" in plain:
            return plain
    return {}
