"""Keras encoder-decoders: texts by characters or words, the training model or encoder and decoder apart."""

from collections.abc import Mapping, Sequence

from app.errors import ImportFailed
from app.importers.checkpoint import Checkpoint
from app.importers.keras.encoder_decoders import encoder_decoder
from app.importers.keras.encoders import source_length
from app.importers.keras.models import KerasLayout
from app.importers.keras.pairs import Pair, pair_of
from app.importers.keras.text import length_of, vocabulary_of
from app.importers.keras.text_options import length_options, text_options
from app.importers.keras.understood import Kind
from app.importers.layout import Converted, Given, Needs
from app.importers.layouts.keras_language_model import unspelt_ids
from app.importers.options import Option, OptionValues
from app.importers.text_rules.keras_tokenizer import tokenizer_of
from app.importers.tokenizer import Vocabulary
from app.importers.vocabularies import Role
from app.store.decoding import Decoding, TokenLimits
from app.store.text_input import FixedLength

_MOST_TOKENS = 1000
_STARTS = (
    "start_",
    "<start>",
    "<sos>",
    "sostok",
    "startseq",
    "[start]",
    "<s>",
    "<bos>",
    "sos",
    "bos",
    "_start_",
    "start",
    "\t",
)
_STOPS = ("_end", "<end>", "<eos>", "eostok", "endseq", "[end]", "</s>", "eos", "_end_", "end", "\n")
_ESCAPES = {"\t": "\\t", "\n": "\\n", " ": "space"}


class KerasTranslation(KerasLayout):
    """The saved model is that of the training; each of its parts is used alone, as in the tutorials."""

    name = "keras-encoder-decoder"
    source = "a Keras encoder-decoder from a text to a text"
    vocabularies: Sequence[Role] = ("source", "target")
    kinds: Sequence[Kind] = ("encoder_decoder",)

    def matches(self, checkpoint: Checkpoint) -> bool:
        return bool(checkpoint.keras) and self.understood(checkpoint).kind in self.kinds

    def options(self, checkpoint: Checkpoint) -> Sequence[Option]:
        understood = self.understood(checkpoint)
        pair = pair_of(understood)
        options = text_options(understood, checkpoint, lengths=False)
        options += length_options(pair.encoder, checkpoint, padding="post")
        if pair.encoder.embedding is None:
            options.append(
                Option(
                    "filling",
                    "what fills the one-hot rows of a source up to its length: space (keras.io since 2019), zeros "
                    "(before), or none",
                    "space",
                    ("space", "zeros", "none"),
                    depends="the network reads it",
                )
            )
        return [*options, *_decoding_options(pair, checkpoint)]

    def needs(self, checkpoint: Checkpoint, chosen: Mapping[str, str]) -> Needs:
        source, target = pair_of(self.understood(checkpoint)).rows
        return Needs(self.vocabularies, rows={"source": source, "target": target})

    def convert(self, checkpoint: Checkpoint, given: Given) -> Converted:
        pair, values = pair_of(self.understood(checkpoint)), given.values
        architecture, tensors = encoder_decoder(pair, zero_row=given.values.given.get("filling") == "zeros")
        rows = architecture.decoder.vocabulary_size
        source = _source(pair, given)
        target = vocabulary_of("target", rows, given)
        start, stop = (_marker(name, values, given, target) for name in ("start", "stop"))
        hidden = (*target.use.hidden, *(token for token in (start, stop) if token))
        target = Vocabulary(target.tokenizer, target.use.model_copy(update={"hidden": hidden}))
        most = values.number("max_tokens")
        unspelt = unspelt_ids(target, rows)
        return Converted(
            architecture,
            tensors,
            source=source,
            target=target,
            decoding=Decoding(
                bos=start or 0,
                eos=stop,
                max_tokens=most,
                forbidden=tuple(token for token in unspelt if token != stop),
            ),
            limits=TokenLimits(source_tokens=1000, max_tokens=max(most, _MOST_TOKENS)),
        )


def _source(pair: Pair, given: Given) -> Vocabulary:
    """The vocabulary of sources, with what fills them up."""
    values, steps = given.values, pair.encoder
    filling = values.given.get("filling")
    length: FixedLength | None = length_of(steps, values)
    rows = pair.rows[0]
    if filling is None or length is None:
        return vocabulary_of("source", rows, given, length=length, masked=steps.mask is not None)
    made = vocabulary_of("source", rows, given, length=None)
    pad: int | None = None
    if filling == "space":
        pad = made.tokenizer.token_to_id(" ")
        if pad is None:
            raise ImportFailed("--set filling=space: the source vocabulary has no space")
    elif filling == "zeros":
        pad = rows
    use = made.use.model_copy(
        update={"length": length.model_copy(update={"pad": pad}), "empty": "refuse" if pad is None else "read"}
    )
    return Vocabulary(made.tokenizer, use)


def _decoding_options(pair: Pair, checkpoint: Checkpoint) -> list[Option]:
    words = {word.lower(): word for found in (*checkpoint.given, *checkpoint.vocabularies.values()) for word in found}
    if pair.repeats is not None:
        return [
            Option("start", "RepeatVector reads no word before", "none", assumed=True),
            Option("stop", "the word that ends an answer; none: id 0, which fills up", "none"),
            Option(
                "max_tokens",
                "words after which decoding ends",
                str(pair.repeats),
                kind="whole",
                most=_MOST_TOKENS,
                assumed=True,
            ),
        ]
    most = checkpoint.whole_setting("max_decoder_seq_length", "max_decoder_length", "max_target_length")
    usual = most + 1 if most is not None else source_length(pair.decoder) or 50
    is_one_hot = pair.decoder.embedding is None
    start, stop = (
        next((words[mark] for mark in marks if mark in words), marks[-1] if is_one_hot else marks[1])
        for marks in (_STARTS, _STOPS)
    )
    return [
        Option("start", "the word before every target, in its vocabulary; \\t is a tabulator", _shown(start)),
        Option("stop", "the word at the end of every target; \\n is the end of a line", _shown(stop)),
        Option(
            "max_tokens", "words or characters after which decoding ends", str(usual), kind="whole", most=_MOST_TOKENS
        ),
    ]


def _shown(word: str) -> str:
    return _ESCAPES.get(word, word)


def _marker(name: str, values: OptionValues, given: Given, target: Vocabulary) -> int:
    """The id of the word that starts or stops a target."""
    value = values.text(name)
    if value == "none":
        return 0
    word = next((real for real, shown in _ESCAPES.items() if shown == value), value)
    tokenizer = tokenizer_of(given.contents.get("target"))
    if tokenizer is not None and tokenizer.lower:
        word = word.lower()
    token = target.tokenizer.token_to_id(word)
    if token is None:
        raise ImportFailed(f"--set {name}={value}: the target vocabulary has no such word")
    return int(token)
