"""Udacity's computer vision course, image captioning: a ResNet-50 and an LSTM (Vinyals et al. 2015). Each student named
the parts."""

from collections.abc import Sequence

from app.importers.captioning import MOST_TOKENS, Captioner, Captioning, show_and_tell
from app.importers.checkpoint import Checkpoint, Tensors
from app.importers.options import Option, OptionValues
from app.importers.parts import consists_of, is_recurrent, pair, under


class Cvnd(Captioning):
    """`encoder-N.pkl` and `decoder-N.pkl`. `embed` is the layer over the ResNet; many copies have batch normalisation
    after it."""

    name = "cvnd-captioning"
    source = "udacity/CVND---Image-Captioning-Project and its copies"

    def options(self, checkpoint: Checkpoint) -> Sequence[Option]:
        return [
            Option(
                "resize", "crop: shorter side to 256, then the middle; squash: to 224 x 224", "crop", ("crop", "squash")
            ),
            Option("max_tokens", "max_len of sample: steps of decoding", "20", kind="whole", most=MOST_TOKENS),
        ]

    def split(self, checkpoint: Checkpoint) -> tuple[Tensors, Tensors] | None:
        return pair(
            checkpoint,
            lambda encoder: consists_of(encoder, "resnet.", "embed.", *_norms(encoder)),
            lambda decoder: _names(decoder) is not None,
        )

    def captioner(self, encoder: Tensors, decoder: Tensors, values: OptionValues) -> Captioner:
        names = _names(decoder)
        assert names is not None
        embedding, recurrent, output = names
        crops = values.text("resize") == "crop"
        return show_and_tell(
            encoder,
            decoder,
            projection="embed.",
            batch_norm=next(iter(_norms(encoder)), None),
            embedding=embedding,
            recurrent=recurrent,
            output=output,
            max_tokens=values.number("max_tokens"),
            image={"resize": "crop", "shorter_side": 256} if crops else {"resize": "squash"},
        )


def _norms(encoder: Tensors) -> list[str]:
    """The prefix of batch normalisation after `embed`, if there is one."""
    names = [key.removesuffix("running_mean") for key in encoder if key.endswith("running_mean")]
    return [name for name in names if not name.startswith(("resnet.", "embed."))][:1]


def _names(decoder: Tensors) -> tuple[str, str, str] | None:
    """The student's names of embedding, recurrence and output layer, recognised by their tensors."""
    parts = {key.partition(".")[0] + "." for key in decoder}
    recurrent = [part for part in parts if is_recurrent(decoder, part)]
    outputs = [part for part in parts if under(decoder, part).keys() == {"weight", "bias"}]
    embeddings = [part for part in parts if under(decoder, part).keys() == {"weight"}]
    if len(parts) == 3 and len(recurrent) == len(outputs) == len(embeddings) == 1:
        return embeddings[0], recurrent[0], outputs[0]
    return None
