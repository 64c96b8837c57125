"""sgrvinod, a PyTorch tutorial to image captioning: Show, Attend and Tell (Xu et al. 2015), in whole modules."""

from collections.abc import Sequence

from app.importers.captioning import Captioner, Captioning
from app.importers.checkpoint import Checkpoint, Tensors
from app.importers.options import Option, OptionValues
from app.importers.parts import consists_of, linear, pair, prefixed, under
from app.store.attention import Attention

_DECODER = ("attention.", "embedding.", "decode_step.", "init_h.", "init_c.", "f_beta.", "fc.")
_STEPS = 51  # caption.py stops after a step whose number, from 1, is above 50


class Sgrvinod(Captioning):
    """`BEST_checkpoint_*.pth.tar` and `WORDMAP_*.json`."""

    name = "sgrvinod-captioning"
    source = "sgrvinod/a-PyTorch-Tutorial-to-Image-Captioning"

    def options(self, checkpoint: Checkpoint) -> Sequence[Option]:
        return [
            Option("grid", "encoded_image_size: positions of the feature map on a side", "14", kind="whole", most=64),
            Option("beams", "--beam_size of caption.py", "5", kind="whole", most=16),
        ]

    def split(self, checkpoint: Checkpoint) -> tuple[Tensors, Tensors] | None:
        return pair(
            checkpoint, lambda encoder: consists_of(encoder, "resnet."), lambda decoder: consists_of(decoder, *_DECODER)
        )

    def captioner(self, encoder: Tensors, decoder: Tensors, values: OptionValues) -> Captioner:
        key = linear(decoder, "attention.encoder_att.")
        return Captioner(
            embedding=decoder["embedding.weight"],
            recurrent={f"{name}_l0": tensor for name, tensor in under(decoder, "decode_step.").items()},
            tensors={
                **prefixed(key, "decoder.attention.key."),
                **prefixed(linear(decoder, "attention.decoder_att."), "decoder.attention.query."),
                "decoder.attention.score.weight": decoder["attention.full_att.weight"],
                **prefixed(linear(decoder, "f_beta."), "decoder.attention.gate."),
                **prefixed(linear(decoder, "init_h."), "decoder.bridge_hidden."),
                **prefixed(linear(decoder, "init_c."), "decoder.bridge_cell."),
                **prefixed(linear(decoder, "fc."), "decoder.output."),
            },
            encoder={"image_size": 256, "grid_side": values.number("grid")},
            decoder={
                "attention": Attention(kind="gated", size=len(key["weight"]), activation="relu"),
                "context": "input",
                "bridge": "linear",
            },
            decoding={"max_tokens": _STEPS, "beams": values.number("beams"), "search": "shrinking"},
            image={"size": 256},
        )
