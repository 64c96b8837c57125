"""yunjey/pytorch-tutorial, image_captioning: a ResNet and an LSTM, in two state dicts (Vinyals et al. 2015).

The image's features are the first input of the LSTM; `<start>` is the first word that comes out, not one that goes in.
"""

from collections.abc import Mapping, Sequence

from app.importers.layout import Answers, Converted, Found, Layout, Option, Role, Tensors, check_words
from app.importers.parts import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    consists_of,
    linear,
    pair,
    placed,
    recurrence,
    recurrent_weights,
    torchvision_resnet,
    under,
)
from app.importers.vocabularies import index_of, word_vocabulary
from app.store.architecture import Decoder, EncoderDecoder, ImageEncoder, Projection
from app.store.manifest import Decoding, ImageInput, TokenLimits


class Yunjey(Layout):
    """`encoder-E-S.ckpt` and `decoder-E-S.ckpt`."""

    name = "yunjey-captioning"
    source = "yunjey/pytorch-tutorial, tutorials/03-advanced/image_captioning"
    words: Sequence[Role] = ("target",)

    def matches(self, networks: Mapping[str, Tensors]) -> bool:
        return _split(networks) is not None

    def options(self, networks: Mapping[str, Tensors]) -> Sequence[Option]:
        return [
            Option("image_size", "side of the square that images were resized to", "224"),
            Option("max_tokens", "max_seq_length: steps of decoding", "20"),
        ]

    def convert(self, found: Found, answers: Answers) -> Converted:
        parts = _split(found.networks)
        assert parts is not None
        encoder, decoder = parts
        words = found.words["target"]
        check_words(words, len(decoder["embed.weight"]), "target")
        start, end = (index_of(words, word, "target") for word in ("<start>", "<end>"))
        resnet, pictures = torchvision_resnet(under(encoder, "resnet."))
        recurrent = recurrence(decoder, "lstm.")
        size = answers.number("image_size")
        normalised = placed(under(encoder, "bn."), "encoder.projection.1.")
        return Converted(
            task="captioning",
            architecture=EncoderDecoder(
                encoder=ImageEncoder(
                    resnet=resnet,
                    image_size=size,
                    output="pooled",
                    projection=Projection(size=len(encoder["linear.weight"]), batch_norm=True),
                ),
                decoder=Decoder(
                    vocabulary_size=len(words),
                    embedding_size=decoder["embed.weight"].shape[1],
                    cell=recurrent.cell,
                    hidden_size=recurrent.hidden_size,
                    layers=recurrent.layers,
                    bridge="zeros",
                    first_input="summary",
                ),
            ),
            tensors={
                **placed(pictures, "encoder.resnet."),
                **placed(linear(encoder, "linear."), "encoder.projection.0."),
                **normalised,
                "decoder.embedding.weight": decoder["embed.weight"],
                **placed(recurrent_weights(decoder, "lstm."), "decoder.recurrence."),
                **placed(linear(decoder, "linear."), "decoder.output."),
            },
            target=word_vocabulary(words, "spaces", unk="<unk>", hidden=(start,)),
            decoding=Decoding(bos=start, eos=end, max_tokens=answers.number("max_tokens")),
            limits=TokenLimits(max_tokens=200),
            image=ImageInput(size=size, resample="lanczos", reading="plain", mean=IMAGENET_MEAN, std=IMAGENET_STD),
        )


def _split(networks: Mapping[str, Tensors]) -> tuple[Tensors, Tensors] | None:
    """Encoder and decoder."""
    return pair(
        networks,
        lambda encoder: consists_of(encoder, "resnet.", "linear.", "bn."),
        lambda decoder: consists_of(decoder, "embed.", "lstm.", "linear."),
    )
