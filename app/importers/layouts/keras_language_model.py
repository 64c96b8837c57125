"""Keras models that continue a text: next words or characters, over a window that is read anew in each step, or with a
state that is kept."""

from collections.abc import Mapping, Sequence

from app.errors import ImportFailed
from app.importers.checkpoint import Checkpoint
from app.importers.keras.encoders import source_length
from app.importers.keras.language_models import language_model, window_language_model
from app.importers.keras.models import KerasLayout
from app.importers.keras.text import text_needs, vocabulary_of
from app.importers.keras.text_options import text_options
from app.importers.keras.understood import Kind, Understood
from app.importers.layout import Converted, Given, Needs
from app.importers.options import Option
from app.importers.tokenizer import Vocabulary
from app.importers.vocabularies import Role
from app.store.decoding import Decoding, TokenLimits
from app.store.language_model import LanguageModel
from app.store.window_language_model import WindowLanguageModel

_MOST_TOKENS = 1000
_MOST_WINDOW = 10_000
NO_WORD = "\0"  # begins what a tokenizer file has for ids without a spelling


class KerasLanguageModel(KerasLayout):
    """Id 0 of a Tokenizer has no word, and is never decoded."""

    name = "keras-language-model"
    source = "a Keras model from a text to the word or character that follows"
    vocabularies: Sequence[Role] = ("source",)
    kinds: Sequence[Kind] = ("language_model", "window_language_model")
    reads_text = True

    def options(self, checkpoint: Checkpoint) -> Sequence[Option]:
        understood = self.understood(checkpoint)
        options = text_options(understood, checkpoint, lengths=False)
        if understood.kind == "window_language_model":
            options += _window_options(understood)
        return [
            *options,
            Option(
                "max_tokens", "usual number of tokens in an answer", "50", kind="whole", most=_MOST_TOKENS, assumed=True
            ),
            Option("lower", "whether texts are in lower case: yes, no", "no", ("yes", "no"), assumed=True),
        ]

    def needs(self, checkpoint: Checkpoint, chosen: Mapping[str, str]) -> Needs:
        return Needs(text_needs(self.understood(checkpoint)))

    def convert(self, checkpoint: Checkpoint, given: Given) -> Converted:
        understood, values = self.understood(checkpoint), given.values
        rows = understood.outputs
        is_one_hot = understood.embedding is None
        architecture: LanguageModel | WindowLanguageModel
        pad: int | None = None
        if understood.kind == "language_model":
            architecture, tensors = language_model(understood)
        else:
            side = values.text("padding")
            pad = None if side == "none" else rows if is_one_hot else 0
            architecture, tensors = window_language_model(
                understood,
                window=_window(understood, values.given.get("window")),
                pad=pad,
                pad_side="right" if side == "post" else "left",
            )
        vocabulary = vocabulary_of("source", architecture.vocabulary_size, given)
        use = vocabulary.use.model_copy(
            update={
                "prepend": () if pad is None else (pad,),
                "empty": "refuse" if pad is None else "read",
                "lower": vocabulary.use.lower or values.is_yes("lower"),
            }
        )
        unspelt = unspelt_ids(vocabulary, architecture.vocabulary_size)
        most = values.number("max_tokens")
        return Converted(
            architecture,
            tensors,
            source=Vocabulary(vocabulary.tokenizer, use),
            decoding=Decoding(
                bos=0 if pad is None else pad, eos=-1, fixed_steps=True, max_tokens=most, forbidden=unspelt
            ),
            limits=TokenLimits(max_tokens=max(most, _MOST_TOKENS)),
        )


def _window_options(understood: Understood) -> list[Option]:
    options = []
    if source_length(understood.root) is None:
        options.append(
            Option(
                "window",
                "ids that each step reads: the length of the training's sequences",
                kind="whole",
                most=_MOST_WINDOW,
            )
        )
    one_hot = understood.embedding is None
    return [
        *options,
        Option(
            "padding",
            "what is read where a text is shorter than the window: padding before it (pre) or after it (post), or none",
            "post" if one_hot else "pre",
            ("pre", "post", "none"),
            depends="usual for one-hot rows is after it, as in keras.io's example" if one_hot else "",
        ),
    ]


def _window(understood: Understood, given: str | None) -> int:
    size = source_length(understood.root)
    if size is None:
        if given is None:
            raise ImportFailed("--set window=... is missing: the ids that each step reads")
        size = int(given)
    return size


def unspelt_ids(vocabulary: Vocabulary, rows: int) -> tuple[int, ...]:
    """Ids that no word has: they are never decoded."""
    words = vocabulary.tokenizer.get_vocab().items()
    spelt = {token for word, token in words if token < rows and not word.startswith(NO_WORD)}
    return tuple(token for token in range(rows) if token not in spelt)
