"""Encoder-decoders over words or characters, recognised by their structure: one state dict, or one for each side."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pydantic import ValidationError

from app.errors import ImportFailed
from app.importers.checkpoint import Checkpoint
from app.importers.layout import Converted, Given, Layout, Needs, Understanding, known
from app.importers.options import Option
from app.importers.pair_network import network_of
from app.importers.pair_options import pair_options
from app.importers.pair_recognition import likeliest, pair_of
from app.importers.pair_words import (
    marks_of,
    replaced_word,
    start_and_stop,
    target_options,
    target_vocabulary,
    understanding_of,
)
from app.importers.pairs import Pair
from app.importers.parts import as_sides
from app.importers.text_options import known_words, text_options, vocabulary_of
from app.importers.vocabularies import Role
from app.store.decoding import Decoding, TokenLimits
from app.store.encoder_decoder import EncoderDecoder

_MOST_TOKENS = 1000


class GeneralTranslation(Layout):
    """What the decoder attends to, and where the context enters, follow from the shapes of its layers."""

    name = "encoder-decoder"
    source = "an encoder-decoder from a text to a text, recognised by its structure"
    vocabularies: Sequence[Role] = ("source", "target")

    def matches(self, checkpoint: Checkpoint) -> bool:
        return pair_in(checkpoint) is not None

    def understanding(self, checkpoint: Checkpoint) -> Understanding:
        return understanding_of(_pair(checkpoint))

    def options(self, checkpoint: Checkpoint) -> Sequence[Option]:
        pair = _pair(checkpoint)
        assert pair.encoder is not None
        return [*pair_options(pair), *_source_options(checkpoint, pair.encoder.rows), *target_options(checkpoint, pair)]

    def needs(self, checkpoint: Checkpoint, chosen: Mapping[str, str]) -> Needs:
        pair = _pair(checkpoint)
        assert pair.encoder is not None
        return Needs(self.vocabularies, rows={"source": pair.encoder.rows, "target": pair.decoder.rows})

    def convert(self, checkpoint: Checkpoint, given: Given) -> Converted:
        pair, values = _pair(checkpoint), given.values
        assert pair.encoder is not None
        try:
            network = network_of(pair, values)
            assert network.encoder is not None
            architecture = EncoderDecoder(encoder=network.encoder, decoder=network.decoder)
        except ValidationError as error:
            raise ImportFailed(f"the parts do not fit together: {error.errors()[0]['msg']}") from error
        start, stop = start_and_stop(given.words["target"], values)
        most = values.number("max_tokens")
        source = vocabulary_of("source", pair.encoder.rows, given, values)
        source = replace(source, use=source.use.model_copy(update={"reverse": values.is_yes("reverse")}))
        return Converted(
            task="translation",
            architecture=architecture,
            tensors=network.tensors,
            source=source,
            target=target_vocabulary(pair, given, start),
            decoding=Decoding(
                bos=start,
                eos=stop,
                max_tokens=most,
                beams=values.number("beams"),
                replace_unknown=replaced_word(given.words["target"], values),
            ),
            limits=TokenLimits(source_tokens=_MOST_TOKENS, max_tokens=max(most, _MOST_TOKENS)),
        )


def pair_in(checkpoint: Checkpoint) -> Pair | None:
    """None if the checkpoint has no such network, in one state dict or in two."""
    return checkpoint.once(_found)


def _found(checkpoint: Checkpoint) -> Pair | None:
    one_hot = [len(words) for words in (*checkpoint.vocabularies.values(), *checkpoint.given)]
    try:
        return likeliest([pair_of(tensors, one_hot) for tensors in as_sides(checkpoint)])
    except ImportFailed:  # tensors that have the names of a recurrence, and not its shapes
        return None


def _pair(checkpoint: Checkpoint) -> Pair:
    return known(pair_in(checkpoint), "encoder-decoder over texts")


def _source_options(checkpoint: Checkpoint, rows: int) -> list[Option]:
    """Options of the source's text. No tensor shows what stands around it, so the import asks."""
    words = known_words(checkpoint, rows)
    around = dict(zip(("prepend", "append"), marks_of(words), strict=True))
    options = [
        replace(option, usual=around[option.name] or "none", assumed=False, depends="the encoder reads it like a word")
        if option.name in around
        else option
        for option in text_options(checkpoint, rows)
    ]
    reverse = Option(
        "reverse", "whether sources were read from the last word to the first", "no", ("yes", "no"), assumed=True
    )
    return [*options, reverse]
