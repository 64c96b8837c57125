"""OpenNMT-py 1.x and 2.x with LSTMs: `model`, `generator`, `vocab` and `opt` in one file.

A bidirectional encoder, its directions side by side in the decoder's first state; general attention and input feeding
(Luong et al. 2015, sections 3.1 and 3.3).
"""

from collections.abc import Mapping, Sequence

from app.importers.checkpoint import Checkpoint, Tensors
from app.importers.layout import Converted, Given, Layout, Needs, require
from app.importers.options import Option
from app.importers.parts import (
    consists_of,
    decoder_of,
    embedded,
    has,
    linear,
    prefixed,
    recurrence,
    recurrent_weights,
    under,
)
from app.importers.tokenizer import check_words, index_of, word_vocabulary
from app.importers.vocabularies import Role
from app.store.attention import Attention
from app.store.decoding import Decoding, TokenLimits
from app.store.encoder_decoder import EncoderDecoder
from app.store.encoders import TextEncoder

_EMBEDDING = "embeddings.make_embedding.emb_luts.0.weight"
_MOST_TOKENS = 1000
_LAYERS = "decoder.rnn.layers."


class OpenNMT(Layout):
    """`*_step_N.pt` with `-rnn_type LSTM`, `-global_attention general` and input feeding, which are its defaults."""

    name = "opennmt-py"
    source = "OpenNMT/OpenNMT-py 1.x and 2.x, LSTM"
    vocabularies: Sequence[Role] = ("source", "target")

    def matches(self, checkpoint: Checkpoint) -> bool:
        return _split(checkpoint) is not None

    def options(self, checkpoint: Checkpoint) -> Sequence[Option]:
        return [
            Option("beams", "-beam_size", "5", kind="whole", most=16),
            Option(
                "alpha",
                "-alpha with -length_penalty wu; 0 for none",
                "0",
                kind="real",
                least=-10,
                most=10,
                depends="ranks the sentences of a beam, and is part of their scores",
                assumed=True,
            ),
            Option(
                "replace_unk",
                "-replace_unk: an unknown word becomes the source word with the highest attention",
                "no",
                ("yes", "no"),
                assumed=True,
            ),
            Option(
                "max_tokens", "-max_length: steps after which decoding ends", "100", kind="whole", most=_MOST_TOKENS
            ),
        ]

    def needs(self, checkpoint: Checkpoint, chosen: Mapping[str, str]) -> Needs:
        parts = _split(checkpoint)
        assert parts is not None
        source, target = (len(parts[0][f"{side}.{_EMBEDDING}"]) for side in ("encoder", "decoder"))
        return Needs(self.vocabularies, rows={"source": source, "target": target})

    def convert(self, checkpoint: Checkpoint, given: Given) -> Converted:
        words, values = given.words, given.values
        parts = _split(checkpoint)
        assert parts is not None
        model, generator = parts
        source, target = words["source"], words["target"]
        source_embedding, target_embedding = model[f"encoder.{_EMBEDDING}"], model[f"decoder.{_EMBEDDING}"]
        check_words(source, len(source_embedding), "source")
        check_words(target, len(target_embedding), "target")
        encoder = recurrence(model, "encoder.rnn.")
        layers = _cells_as_layers(model)
        decoder = recurrence(layers, "")
        readout = linear(model, "decoder.attn.linear_out.")
        require(
            decoder.input_size == target_embedding.shape[1] + len(readout["weight"]),
            "the decoder has no input feeding, which this layout needs",
        )
        tied = {"weight": target_embedding, "bias": generator["0.bias"]}
        return Converted(
            task="translation",
            architecture=EncoderDecoder(
                encoder=TextEncoder(vocabulary_size=len(source), recurrence=encoder),
                decoder=decoder_of(
                    target_embedding,
                    decoder,
                    attention=Attention(kind="general"),
                    context="output",
                    readout=("context", "hidden"),
                    readout_size=len(readout["weight"]),
                    input_feeding=True,
                    bridge="join" if encoder.directions == 2 else "copy",
                ),
            ),
            tensors={
                **embedded("encoder", source_embedding, recurrent_weights(model, "encoder.rnn.")),
                **embedded("decoder", target_embedding, recurrent_weights(layers, "")),
                "decoder.attention.key.weight": model["decoder.attn.linear_in.weight"].t().contiguous(),
                **prefixed(readout, "decoder.readout."),
                **prefixed(linear(generator, "0.") if "0.weight" in generator else tied, "decoder.output."),
            },
            source=word_vocabulary(source, "spaces", unk="<unk>"),
            target=word_vocabulary(target, "spaces", unk="<unk>"),
            decoding=Decoding(
                bos=index_of(target, "<s>", "target"),
                eos=index_of(target, "</s>", "target"),
                max_tokens=values.number("max_tokens"),
                beams=values.number("beams"),
                length_penalty=values.real("alpha"),
                penalty_tokens=1,
                replace_unknown=index_of(target, "<unk>", "target") if values.is_yes("replace_unk") else None,
                search="gaps",
                until="best",
            ),
            limits=TokenLimits(source_tokens=1000, max_tokens=_MOST_TOKENS),
        )


def _split(checkpoint: Checkpoint) -> tuple[Tensors, Tensors] | None:
    """Model and generator."""
    networks = checkpoint.networks.values()
    models = [
        tensors
        for tensors in networks
        if consists_of(
            tensors, "encoder.embeddings.", "encoder.rnn.", "decoder.embeddings.", "decoder.rnn.", "decoder.attn."
        )
        and has(tensors, f"{_LAYERS}0.weight_ih", "decoder.attn.linear_in.weight")
    ]
    generators = [tensors for tensors in networks if "0.bias" in tensors]
    return (models[0], generators[0]) if len(models) == len(generators) == 1 else None


def _cells_as_layers(model: Tensors) -> Tensors:
    """`layers.0.weight_ih` and so on by the names of an `nn.LSTM`."""
    layers = {}
    for key, tensor in under(model, _LAYERS).items():
        number, _, name = key.partition(".")
        layers[f"{name}_l{number}"] = tensor
    return layers
