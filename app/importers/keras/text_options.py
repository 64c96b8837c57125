"""Options of a Keras model over texts: how a text became ids, as far as the model does not say it."""

from app.importers.checkpoint import Checkpoint
from app.importers.keras.encoders import source_length
from app.importers.keras.understood import Understood
from app.importers.keras.values import Steps
from app.importers.options import Option
from app.importers.text_options import CHARACTERS, TOKENIZERS
from app.importers.text_rules.text_vectorization import STANDARDIZE

TOKENIZER, IMDB = "tokenizer", "imdb"
_SIDES = ("pre", "post")
_LENGTHS = ("maxlen", "max_len", "max_length", "max_sequence_length", "sequence_length", "max_encoder_seq_length")
_CLEANING = Option(
    "cleaning",
    "steps before splitting: none; punctuation, a space on both sides of ? . ! ,; tensorflow, the rules of its "
    "translation tutorial; or a JSON file, see docs/importing.md",
    "none",
    assumed=True,
)

_OF_IMDB = ("rules", IMDB)
_UNKNOWN = Option(
    "unknown",
    "a word outside the vocabulary, unless a Tokenizer says it: found, skip, refuse, last or an id",
    "found",
    assumed=True,
)


def _vectorization_options(understood: Understood) -> list[Option]:
    """Only what the layer does not say: a function of the user's."""
    layer = understood.source.vectorization
    assert layer is not None
    standardize = layer.config.get("standardize")
    if standardize is None or (isinstance(standardize, str) and standardize in STANDARDIZE):
        return []
    name = standardize if isinstance(standardize, str) else "a function of its own"
    return [
        Option(
            "standardize",
            f"TextVectorization cleans texts by {name}, whose code is not in the file: the rules nearest to it",
            "lower_and_strip_punctuation",
            tuple(STANDARDIZE),
        ),
        _CLEANING,
    ]


def text_options(
    understood: Understood,
    checkpoint: Checkpoint,
    *,
    lengths: bool = True,
    padding: str = "pre",
    rules: str | None = None,
    imdb: bool = False,
) -> list[Option]:
    """How a text became ids. `lengths`: with that of sources; `padding` is its usual side, `rules` the usual ones.
    `imdb`: with the ids of keras.datasets.imdb."""
    if understood.source.vectorization is not None:
        return _vectorization_options(understood)
    is_imdb = imdb and any(IMDB in name.lower() for name in checkpoint.names)
    usual = rules or (IMDB if is_imdb else TOKENIZER if understood.embedding is not None else CHARACTERS)
    options = [
        Option(
            "rules",
            "how a text became ids: tokenizer, by Keras' Tokenizer (its JSON or pickle, or its word_index); "
            f"{'imdb, by keras.datasets.imdb; ' if imdb else ''}characters; or another splitting, see "
            "docs/tokenizers.md",
            usual,
            tuple(dict.fromkeys((TOKENIZER, *([IMDB] if imdb else []), CHARACTERS, *TOKENIZERS))),
            depends="other words have other ids, or none",
        ),
        *(_imdb_options(asked=is_imdb) if imdb else [_UNKNOWN]),
        _CLEANING,
        Option("stop_words", "none, or a file with words that were left out", "none", assumed=True),
    ]
    return options + (length_options(understood.root, checkpoint, padding=padding) if lengths else [])


def _imdb_options(*, asked: bool) -> list[Option]:
    return [
        Option(
            "start",
            "rules imdb: the id before every text; none",
            "1",
            kind="whole",
            least=0,
            or_none=True,
            assumed=not asked,
            only_where=_OF_IMDB,
        ),
        Option(
            "unknown",
            "rules imdb: the id of an unknown word, or skip; 5 with word_index.get(word, 2) + 3. Other rules: found, "
            "skip, refuse, last or an id",
            "2" if asked else "found",
            assumed=not asked,
        ),
        Option(
            "index_from",
            "rules imdb: what is added to the rank of a word",
            "3",
            kind="whole",
            least=0,
            assumed=True,
            only_where=_OF_IMDB,
        ),
        Option(
            "splitting",
            "rules imdb: text_to_word_sequence, or split for text.lower().split()",
            "text_to_word_sequence",
            ("text_to_word_sequence", "split"),
            assumed=not asked,
            only_where=_OF_IMDB,
        ),
    ]


def length_options(steps: Steps, checkpoint: Checkpoint, *, padding: str = "pre") -> list[Option]:
    """`pad_sequences` of a source; its length is a question if the model does not say it."""
    options = []
    if source_length(steps) is None:
        options.append(
            Option(
                "maxlen",
                "ids that every text was padded and cut to; none: each is read as long as it is",
                str(checkpoint.whole_setting(*_LENGTHS) or "none"),
                kind="whole",
                or_none=True,
                depends="" if steps.read else "the network reads padding like words",
            )
        )
    return [
        *options,
        Option(
            "padding", "side of the padding", padding, _SIDES, depends="pad_sequences pads before the text by default"
        ),
        Option(
            "truncating",
            "side at which longer texts are cut",
            "pre",
            _SIDES,
            depends="pad_sequences cuts the beginning by default",
        ),
    ]
