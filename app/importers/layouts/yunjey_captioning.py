"""yunjey/pytorch-tutorial, image_captioning: a ResNet and an LSTM, in two state dicts (Vinyals et al. 2015)."""

from collections.abc import Sequence

from app.importers.captioning import MOST_TOKENS, Captioner, Captioning, show_and_tell
from app.importers.checkpoint import Checkpoint, Tensors
from app.importers.options import Option, OptionValues
from app.importers.parts import consists_of, pair


class Yunjey(Captioning):
    """`encoder-E-S.ckpt` and `decoder-E-S.ckpt`."""

    name = "yunjey-captioning"
    source = "yunjey/pytorch-tutorial, tutorials/03-advanced/image_captioning"

    def options(self, checkpoint: Checkpoint) -> Sequence[Option]:
        return [
            Option(
                "image_size", "side of the square that images were resized to", "224", kind="whole", least=32, most=1024
            ),
            Option("max_tokens", "max_seq_length: steps of decoding", "20", kind="whole", most=MOST_TOKENS),
        ]

    def split(self, checkpoint: Checkpoint) -> tuple[Tensors, Tensors] | None:
        return pair(
            checkpoint,
            lambda encoder: consists_of(encoder, "resnet.", "linear.", "bn."),
            lambda decoder: consists_of(decoder, "embed.", "lstm.", "linear."),
        )

    def captioner(self, encoder: Tensors, decoder: Tensors, values: OptionValues) -> Captioner:
        return show_and_tell(
            encoder,
            decoder,
            projection="linear.",
            batch_norm="bn.",
            embedding="embed.",
            recurrent="lstm.",
            output="linear.",
            max_tokens=values.number("max_tokens"),
            image={"size": values.number("image_size"), "resample": "lanczos"},
        )
