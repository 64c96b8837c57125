"""OpenNMT-py 1.x and 2.x with LSTMs: `model`, `generator`, `vocab` and `opt` in one file.

A bidirectional encoder whose directions lie side by side in the decoder's first state, general attention and input
feeding (Luong et al. 2015, sections 3.1 and 3.3).
"""

from collections.abc import Mapping, Sequence

from app.importers.layout import Answers, Converted, Found, Layout, Option, Role, Tensors, check_words, require
from app.importers.parts import consists_of, has, linear, placed, recurrence, recurrent_weights, under
from app.importers.vocabularies import index_of, word_vocabulary
from app.store.architecture import Attention, Decoder, EncoderDecoder, TextEncoder
from app.store.manifest import Decoding, TokenLimits

_EMBEDDING = "embeddings.make_embedding.emb_luts.0.weight"
_LAYERS = "decoder.rnn.layers."


class OpenNMT(Layout):
    """`*_step_N.pt` with `-rnn_type LSTM`, `-global_attention general` and input feeding, which are its defaults."""

    name = "opennmt-py"
    source = "OpenNMT/OpenNMT-py 1.x and 2.x, LSTM"
    words: Sequence[Role] = ("source", "target")

    def matches(self, networks: Mapping[str, Tensors]) -> bool:
        return _split(networks) is not None

    def options(self, networks: Mapping[str, Tensors]) -> Sequence[Option]:
        return [
            Option("beams", "-beam_size", "5"),
            Option("max_tokens", "-max_length: steps after which decoding ends", "100"),
        ]

    def convert(self, found: Found, answers: Answers) -> Converted:
        parts = _split(found.networks)
        assert parts is not None
        model, generator = parts
        source, target = found.words["source"], found.words["target"]
        source_embedding, target_embedding = model[f"encoder.{_EMBEDDING}"], model[f"decoder.{_EMBEDDING}"]
        check_words(source, len(source_embedding), "source")
        check_words(target, len(target_embedding), "target")
        encoder = recurrence(model, "encoder.rnn.")
        layers = _cells_as_layers(model)
        decoder = recurrence(layers, "")
        readout = linear(model, "decoder.attn.linear_out.")
        require(
            decoder.input_size == target_embedding.shape[1] + len(readout["weight"]),
            "the decoder has no input feeding, which is what this layout has",
        )
        tied = {"weight": target_embedding, "bias": generator["0.bias"]}
        return Converted(
            task="translation",
            architecture=EncoderDecoder(
                encoder=TextEncoder(vocabulary_size=len(source), recurrence=encoder),
                decoder=Decoder(
                    vocabulary_size=len(target),
                    embedding_size=target_embedding.shape[1],
                    cell=decoder.cell,
                    hidden_size=decoder.hidden_size,
                    layers=decoder.layers,
                    attention=Attention(kind="general"),
                    context="output",
                    readout=("context", "hidden"),
                    readout_size=len(readout["weight"]),
                    input_feeding=True,
                    bridge="join" if encoder.directions == 2 else "copy",
                ),
            ),
            tensors={
                "encoder.embedding.weight": source_embedding,
                **placed(recurrent_weights(model, "encoder.rnn."), "encoder.recurrence."),
                "decoder.embedding.weight": target_embedding,
                **placed(recurrent_weights(layers, ""), "decoder.recurrence."),
                "decoder.attention.key.weight": model["decoder.attn.linear_in.weight"].t().contiguous(),
                **placed(readout, "decoder.readout."),
                **placed(linear(generator, "0.") if "0.weight" in generator else tied, "decoder.output."),
            },
            source=word_vocabulary(source, "spaces", unk="<unk>"),
            target=word_vocabulary(target, "spaces", unk="<unk>"),
            decoding=Decoding(
                bos=index_of(target, "<s>", "target"),
                eos=index_of(target, "</s>", "target"),
                max_tokens=answers.number("max_tokens"),
                beams=answers.number("beams"),
                search="gaps",
                until="best",
            ),
            limits=TokenLimits(source_tokens=1000, max_tokens=1000),
        )


def _split(networks: Mapping[str, Tensors]) -> tuple[Tensors, Tensors] | None:
    """Model and generator."""
    models = [
        tensors
        for tensors in networks.values()
        if consists_of(
            tensors, "encoder.embeddings.", "encoder.rnn.", "decoder.embeddings.", "decoder.rnn.", "decoder.attn."
        )
        and has(tensors, f"{_LAYERS}0.weight_ih", "decoder.attn.linear_in.weight")
    ]
    generators = [tensors for tensors in networks.values() if "0.bias" in tensors]
    return (models[0], generators[0]) if len(models) == len(generators) == 1 else None


def _cells_as_layers(model: Tensors) -> Tensors:
    """`layers.0.weight_ih` and so on by the names of an `nn.LSTM`."""
    layers = {}
    for key, tensor in under(model, _LAYERS).items():
        number, _, name = key.partition(".")
        layers[f"{name}_l{number}"] = tensor
    return layers
