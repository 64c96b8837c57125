"""Classifiers of clips, recognised by their structure: a ResNet over each image, layers, recurrences, and a head.

One state dict, or an encoder and a decoder in two (HHTseng/video-classification).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from app.importers.chain import Chain, chain_of
from app.importers.checkpoint import Checkpoint
from app.importers.general_answer import Answer, answer_of
from app.importers.general_chain import one_or_two
from app.importers.general_encoder import Parts, encoder_parts
from app.importers.general_options import options_of
from app.importers.general_understanding import understanding_of
from app.importers.images import NORMALISATION, NORMALISATIONS, images_in
from app.importers.layout import Converted, Given, Layout, Needs, Understanding, known, require
from app.importers.options import Option
from app.importers.parts import linear, prefixed
from app.importers.structure import structure_of
from app.store.classifier import Classifier
from app.store.encoders import FramesEncoder
from app.store.image_encoder import ImageEncoder, ResNet
from app.store.image_input import ImageInput
from app.store.layer import Layer

_SIZES = ("image_size", "img_size", "resize", "crop_size", "image_height", "img_height", "img_h", "img_x")
_FRAMES = ("num_frames", "n_frames", "frames", "max_frames", "sequence_length", "seq_len", "seq_length", "clip_len")
_FUNCTIONS = ("relu", "none", "tanh", "leaky_relu")


@dataclass(frozen=True)
class Clips:
    """A ResNet by torchvision's names, and the chain that follows it."""

    resnet: ResNet
    images: Mapping[str, Tensor]
    chain: Chain


class FramesClassifier(Layout):
    """The layers between the images and the recurrence are read as they are defined, with their batch norms."""

    name = "frames-classifier"
    source = "a classifier of clips, recognised by its structure"

    def matches(self, checkpoint: Checkpoint) -> bool:
        return checkpoint.once(clips_in) is not None

    def understanding(self, checkpoint: Checkpoint) -> Understanding:
        clips = _clips(checkpoint)
        understood = understanding_of(clips.chain, f"{clips.chain.outputs} labels of a clip")
        facts = [f"each image through a {clips.resnet.describe()}", *understood.facts]
        return Understanding(facts, [*understood.unsure, "size and normalisation of the images are not in the file"])

    def options(self, checkpoint: Checkpoint) -> Sequence[Option]:
        chain = _clips(checkpoint).chain
        size = str(checkpoint.whole_setting(*_SIZES) or 224)
        frames = str(checkpoint.whole_setting(*_FRAMES) or "none")
        between = [option for option in options_of(chain) if not option.name.startswith("front_")]
        layers = [
            Option(
                "image_activation", "the function between the layers after the ResNet", "relu", _FUNCTIONS, assumed=True
            ),
            Option("embedding_activation", "the function after the last of these layers", "none", _FUNCTIONS),
        ]
        return [
            Option(
                "image_size", "side of the square that images were resized to", size, kind="whole", least=32, most=1024
            ),
            Option(
                "frames",
                "images of a clip that are read, evenly spaced; none: all",
                frames,
                kind="whole",
                most=1000,
                or_none=True,
            ),
            NORMALISATION,
            *(layers if chain.front else []),
            *between,
        ]

    def needs(self, checkpoint: Checkpoint, chosen: Mapping[str, str]) -> Needs:
        return Needs(labels=max(2, _clips(checkpoint).chain.outputs))

    def convert(self, checkpoint: Checkpoint, given: Given) -> Converted:
        clips, values = _clips(checkpoint), given.values
        chain = clips.chain
        head, tensors = _layers(chain, given)
        parts, answer = _after(chain, given)
        assert parts.recurrence is not None
        size, frames = values.number("image_size"), values.number_or_none("frames")
        mean, std = NORMALISATIONS[values.text("normalisation")]
        encoder = FramesEncoder(
            image=ImageEncoder(resnet=clips.resnet, image_size=size, output="pooled"),
            head=head,
            recurrence=parts.recurrence,
            back=tuple(parts.back),
        )
        return Converted(
            architecture=Classifier.model_validate({"encoder": encoder, "labels": answer.outputs, **answer.members}),
            tensors={
                **prefixed(clips.images, "encoder.image.resnet."),
                **prefixed(tensors, "encoder.head."),
                **parts.tensors,
                **answer.tensors,
            },
            image=ImageInput.model_validate({"size": size, "reading": "plain", "mean": mean, "std": std}),
            frames=frames,
        )


def clips_in(checkpoint: Checkpoint) -> Clips | None:
    """None if the checkpoint has no ResNet with a recurrence after it."""
    images = images_in(checkpoint)
    chain = None if images is None else chain_of(structure_of(images.rest))
    if images is None or chain is None or chain.table is not None or chain.leftover or chain.crf is not None:
        return None
    resnet, tensors = images.resnet()
    return Clips(resnet, tensors, chain) if chain.features == resnet.output_size else None


def _clips(checkpoint: Checkpoint) -> Clips:
    return known(checkpoint.once(clips_in), "ResNet with a recurrence and a head after it")


def _layers(chain: Chain, given: Given) -> tuple[tuple[Layer, ...], dict[str, Tensor]]:
    """The layers between ResNet and recurrence, each with the norm that follows it."""
    layers: list[Layer] = []
    tensors: dict[str, Tensor] = {}
    linears = [(group, norm) for group, norm in chain.front_layers if group.kind in ("linear", "table")]
    for number, (group, norm) in enumerate(linears):
        is_last = number == len(linears) - 1
        function = given.values.text("embedding_activation" if is_last else "image_activation")
        layers.append(
            Layer.model_validate({"size": group.outputs, "batch_norm": norm is not None, "activation": function})
        )
        tensors |= prefixed(linear(group.tensors, ""), f"{number}.")
        if norm is not None:
            tensors |= prefixed(norm.tensors, f"norm{number}.")
    return tuple(layers), tensors


def _after(chain: Chain, given: Given) -> tuple[Parts, Answer]:
    """Recurrences and head, without what is before them."""
    plain = Chain(**{**vars(chain), "front": ()})
    require(len(chain.recurrences) == 1, "several recurrences over frames are not supported")
    return encoder_parts(plain, given.values), one_or_two(answer_of(plain, given.values))
