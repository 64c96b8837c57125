"""sgrvinod, a PyTorch tutorial to image captioning: Show, Attend and Tell (Xu et al. 2015), in whole modules."""

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
    torchvision_resnet,
    under,
)
from app.importers.vocabularies import index_of, word_vocabulary
from app.store.architecture import Attention, Decoder, EncoderDecoder, ImageEncoder
from app.store.manifest import Decoding, ImageInput, TokenLimits

_DECODER = ("attention.", "embedding.", "decode_step.", "init_h.", "init_c.", "f_beta.", "fc.")
_STEPS = 51  # caption.py stops after a step whose number, from 1, is above 50


class Sgrvinod(Layout):
    """`BEST_checkpoint_*.pth.tar` and `WORDMAP_*.json`."""

    name = "sgrvinod-captioning"
    source = "sgrvinod/a-PyTorch-Tutorial-to-Image-Captioning"
    words: Sequence[Role] = ("target",)

    def matches(self, networks: Mapping[str, Tensors]) -> bool:
        return _split(networks) is not None

    def options(self, networks: Mapping[str, Tensors]) -> Sequence[Option]:
        return [
            Option("grid", "encoded_image_size: cells of the feature map on a side", "14"),
            Option("beams", "--beam_size of caption.py", "5"),
        ]

    def convert(self, found: Found, answers: Answers) -> Converted:
        parts = _split(found.networks)
        assert parts is not None
        encoder, decoder = parts
        words = found.words["target"]
        check_words(words, len(decoder["embedding.weight"]), "target")
        start, end = (index_of(words, word, "target") for word in ("<start>", "<end>"))
        resnet, pictures = torchvision_resnet(under(encoder, "resnet."))
        layer = {f"{name}_l0": tensor for name, tensor in under(decoder, "decode_step.").items()}
        recurrent = recurrence(layer, "")
        key = linear(decoder, "attention.encoder_att.")
        return Converted(
            task="captioning",
            architecture=EncoderDecoder(
                encoder=ImageEncoder(resnet=resnet, image_size=256, grid_side=answers.number("grid")),
                decoder=Decoder(
                    vocabulary_size=len(words),
                    embedding_size=decoder["embedding.weight"].shape[1],
                    cell="lstm",
                    hidden_size=recurrent.hidden_size,
                    attention=Attention(kind="gated", size=len(key["weight"]), activation="relu"),
                    context="input",
                    bridge="linear",
                ),
            ),
            tensors={
                **placed(pictures, "encoder.resnet."),
                "decoder.embedding.weight": decoder["embedding.weight"],
                **placed(layer, "decoder.recurrence."),
                **placed(key, "decoder.attention.key."),
                **placed(linear(decoder, "attention.decoder_att."), "decoder.attention.query."),
                "decoder.attention.score.weight": decoder["attention.full_att.weight"],
                **placed(linear(decoder, "f_beta."), "decoder.attention.gate."),
                **placed(linear(decoder, "init_h."), "decoder.bridge_hidden."),
                **placed(linear(decoder, "init_c."), "decoder.bridge_cell."),
                **placed(linear(decoder, "fc."), "decoder.output."),
            },
            target=word_vocabulary(words, "spaces", unk="<unk>"),
            decoding=Decoding(bos=start, eos=end, max_tokens=_STEPS, beams=answers.number("beams"), search="shrinking"),
            limits=TokenLimits(max_tokens=200),
            image=ImageInput(size=256, reading="plain", mean=IMAGENET_MEAN, std=IMAGENET_STD),
        )


def _split(networks: Mapping[str, Tensors]) -> tuple[Tensors, Tensors] | None:
    """Encoder and decoder."""
    return pair(
        networks, lambda encoder: consists_of(encoder, "resnet."), lambda decoder: consists_of(decoder, *_DECODER)
    )
