"""Udacity's computer vision course, image captioning: a ResNet-50 and an LSTM whose parts each student named anew.

As in `yunjey_captioning` the image's features are the first input, and `<start>` is the first word that comes out.
"""

from collections.abc import Mapping, Sequence

from app.importers.layout import Answers, Converted, Found, Layout, Option, Role, Tensors, check_words
from app.importers.parts import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    consists_of,
    is_recurrent,
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


class Cvnd(Layout):
    """`encoder-N.pkl` and `decoder-N.pkl`; `embed` is the layer over the ResNet, without normalisation."""

    name = "cvnd-captioning"
    source = "udacity/CVND---Image-Captioning-Project and its copies"
    words: Sequence[Role] = ("target",)

    def matches(self, networks: Mapping[str, Tensors]) -> bool:
        return _split(networks) is not None

    def options(self, networks: Mapping[str, Tensors]) -> Sequence[Option]:
        return [
            Option(
                "resize", "crop: shorter side to 256, then the middle; squash: to 224 x 224", "crop", ("crop", "squash")
            ),
            Option("max_tokens", "max_len of sample: steps of decoding", "20"),
        ]

    def convert(self, found: Found, answers: Answers) -> Converted:
        parts = _split(found.networks)
        assert parts is not None
        encoder, decoder = parts
        embedding, recurrent, output = _names(decoder) or ("", "", "")
        words = found.words["target"]
        check_words(words, len(decoder[f"{embedding}weight"]), "target")
        start, end = (index_of(words, word, "target") for word in ("<start>", "<end>"))
        resnet, pictures = torchvision_resnet(under(encoder, "resnet."))
        spec = recurrence(decoder, recurrent)
        crops = answers.text("resize") == "crop"
        return Converted(
            task="captioning",
            architecture=EncoderDecoder(
                encoder=ImageEncoder(
                    resnet=resnet,
                    output="pooled",
                    projection=Projection(size=len(encoder["embed.weight"])),
                ),
                decoder=Decoder(
                    vocabulary_size=len(words),
                    embedding_size=decoder[f"{embedding}weight"].shape[1],
                    cell=spec.cell,
                    hidden_size=spec.hidden_size,
                    layers=spec.layers,
                    bridge="zeros",
                    first_input="summary",
                ),
            ),
            tensors={
                **placed(pictures, "encoder.resnet."),
                **placed(linear(encoder, "embed."), "encoder.projection.0."),
                "decoder.embedding.weight": decoder[f"{embedding}weight"],
                **placed(recurrent_weights(decoder, recurrent), "decoder.recurrence."),
                **placed(linear(decoder, output), "decoder.output."),
            },
            target=word_vocabulary(words, "spaces", unk="<unk>", hidden=(start,)),
            decoding=Decoding(bos=start, eos=end, max_tokens=answers.number("max_tokens")),
            limits=TokenLimits(max_tokens=200),
            image=ImageInput(
                resize="crop" if crops else "squash",
                shorter_side=256 if crops else None,
                reading="plain",
                mean=IMAGENET_MEAN,
                std=IMAGENET_STD,
            ),
        )


def _split(networks: Mapping[str, Tensors]) -> tuple[Tensors, Tensors] | None:
    """Encoder and decoder."""
    return pair(
        networks, lambda encoder: consists_of(encoder, "resnet.", "embed."), lambda decoder: _names(decoder) is not None
    )


def _names(decoder: Tensors) -> tuple[str, str, str] | None:
    """What a student called embedding, recurrence and output layer, told by what is in them."""
    parts = {key.partition(".")[0] + "." for key in decoder}
    recurrent = [part for part in parts if is_recurrent(decoder, part)]
    outputs = [part for part in parts if under(decoder, part).keys() == {"weight", "bias"}]
    embeddings = [part for part in parts if under(decoder, part).keys() == {"weight"}]
    if len(parts) == 3 and len(recurrent) == len(outputs) == len(embeddings) == 1:
        return embeddings[0], recurrent[0], outputs[0]
    return None
