"""Captioners recognised by their structure, in one state dict or two: a ResNet, and a recurrent decoder. It starts from
the image, reads it as its first input or in each step, or attends to its positions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from torch import Tensor

from app.errors import ImportFailed
from app.importers.checkpoint import Checkpoint, Tensors
from app.importers.images import NORMALISATION, NORMALISATIONS, images_in
from app.importers.layout import Converted, Given, Layout, Needs, Understanding, known
from app.importers.options import Option, OptionValues
from app.importers.pair_links import linked
from app.importers.pair_network import network_of
from app.importers.pair_options import pair_options
from app.importers.pair_recognition import reader_of
from app.importers.pair_words import start_and_stop, target_options, target_vocabulary, understanding_of
from app.importers.pairs import Pair
from app.importers.parts import linear, prefixed
from app.importers.structure import Group, is_named_table, structure_of
from app.importers.vocabularies import Role
from app.store.decoding import Decoding, TokenLimits
from app.store.encoder_decoder import EncoderDecoder
from app.store.image_encoder import ImageEncoder, Projection, ResNet
from app.store.image_input import ImageInput

_MOST_TOKENS = 200


@dataclass(frozen=True)
class Captioner:
    """A ResNet, the layer over its pooled features with its batch norm, and the decoder. `reads_first`: these features
    are the decoder's first input."""

    resnet: ResNet
    images: Mapping[str, Tensor]
    projection: Group | None
    norm: Group | None
    pair: Pair
    reads_first: bool

    @property
    def is_grid(self) -> bool:
        """Whether the decoder attends to positions of the image."""
        return self.pair.attention is not None


class GeneralCaptioning(Layout):
    """The size of the images and their normalisation are in no tensor."""

    name = "captioner"
    source = "a captioner of a ResNet and a recurrent decoder, recognised by its structure"
    vocabularies: Sequence[Role] = ("target",)

    def matches(self, checkpoint: Checkpoint) -> bool:
        return checkpoint.once(captioner_in) is not None

    def understanding(self, checkpoint: Checkpoint) -> Understanding:
        made = _captioner(checkpoint)
        understood = understanding_of(made.pair)
        facts = [f"images through a {made.resnet.describe()}"]
        if made.projection is not None:
            where = "the decoder's first input" if made.reads_first else "read by the decoder"
            facts.append(f"{made.projection.name} on their features, {where}")
        return Understanding(
            [*facts, *understood.facts],
            [*understood.unsure, "size and normalisation of the images are not in the file"],
        )

    def options(self, checkpoint: Checkpoint) -> Sequence[Option]:
        made = _captioner(checkpoint)
        decoder = [
            option
            for option in [*pair_options(made.pair), *target_options(checkpoint, made.pair)]
            if option.name not in ("replace_unk", "target_words")
            and not (option.name == "attention" and not made.is_grid)
        ]
        return [*_image_options(made), *decoder]

    def needs(self, checkpoint: Checkpoint, chosen: Mapping[str, str]) -> Needs:
        return Needs(self.vocabularies, rows={"target": _captioner(checkpoint).pair.decoder.rows})

    def convert(self, checkpoint: Checkpoint, given: Given) -> Converted:
        made, values = _captioner(checkpoint), given.values
        if made.pair.has_context and not made.is_grid:
            values = OptionValues({**values.given, "attention": "fixed"})
        size, grid = values.number("image_size"), values.number_or_none("grid") if made.is_grid else None
        try:
            network = network_of(made.pair, values)
            settings: dict[str, Any] = {"first_input": "summary"} if made.reads_first else {}
            architecture = EncoderDecoder(
                encoder=ImageEncoder.model_validate(
                    {
                        "resnet": made.resnet,
                        "image_size": size,
                        "output": "grid" if made.is_grid else "pooled",
                        "grid_side": grid,
                        "projection": None
                        if made.projection is None
                        else Projection(size=made.projection.outputs, batch_norm=made.norm is not None),
                    }
                ),
                decoder=network.decoder.model_copy(update=settings),
            )
        except ValidationError as error:
            raise ImportFailed(f"the parts do not fit together: {error.errors()[0]['msg']}") from error
        start, stop = start_and_stop(given.words["target"], values)
        most = values.number("max_tokens")
        mean, std = NORMALISATIONS[values.text("normalisation")]
        crops = values.text("resize") == "crop"
        image = {"resize": "crop", "shorter_side": size * 256 // 224} if crops else {"resize": "squash"}
        projected = {} if made.projection is None else linear(made.projection.tensors, "")
        norm = {} if made.norm is None else dict(made.norm.tensors)
        return Converted(
            architecture=architecture,
            tensors={
                **prefixed(made.images, "encoder.resnet."),
                **prefixed(projected, "encoder.projection.0."),
                **prefixed(norm, "encoder.projection.1."),
                **network.tensors,
            },
            target=target_vocabulary(made.pair, given.with_values({"target_words": "spaces"}), start),
            decoding=Decoding(bos=start, eos=stop, max_tokens=most, beams=values.number("beams")),
            limits=TokenLimits(max_tokens=max(most, _MOST_TOKENS)),
            image=ImageInput.model_validate({"size": size, "reading": "plain", "mean": mean, "std": std, **image}),
        )


def captioner_in(checkpoint: Checkpoint) -> Captioner | None:
    """None if the checkpoint has no ResNet with a decoder of words."""
    images = images_in(checkpoint)
    try:
        return None if images is None else next(_captioners(images.rest, *images.resnet()), None)
    except ImportFailed:
        return None


def _captioners(rest: Tensors, resnet: ResNet, images: Mapping[str, Tensor]) -> Iterator[Captioner]:
    """The ways to give every other part of the network a place, the usual one first: with a layer over the features, or
    without one."""
    structure = structure_of(rest)
    recurrences = structure.of("recurrence", "cell")
    norms = structure.of("norm")
    others = [group for group in structure.groups if group.kind not in ("recurrence", "cell", "norm")]
    tables = [group for group in others if group.kind == "table" and is_named_table(group.prefix)]
    tables = tables or [group for group in others if group.kind == "table"]
    if not recurrences or not tables or len(norms) > 1:
        return
    table = tables[0]
    decoder = reader_of(recurrences, table)
    if decoder is None or decoder.recurrence.directions != 1:
        return
    others = [group for group in others if group is not table]
    features = resnet.output_size
    norm = norms[0] if norms else None
    layers = [group for group in others if group.kind == "linear" and group.inputs == features]
    for projection in (*layers, None):
        size = features if projection is None else projection.outputs
        if norm is not None and (projection is None or norm.outputs != size):
            continue
        left = [group for group in others if group is not projection]
        pair = linked(None, decoder, left, memory=size)
        if pair is None or (projection is not None and pair.attention is not None):
            continue
        reads_first = not (pair.bridge or pair.has_context)
        if not reads_first or size == pair.embedding_size:
            yield Captioner(resnet, images, projection, norm, pair, reads_first)


def _captioner(checkpoint: Checkpoint) -> Captioner:
    return known(checkpoint.once(captioner_in), "ResNet with a decoder of words")


def _image_options(made: Captioner) -> list[Option]:
    grid = Option(
        "grid",
        "positions of the image on a side that the decoder attends to; none: as the ResNet gives them",
        "none",
        kind="whole",
        most=64,
        or_none=True,
    )
    return [
        Option("image_size", "side of the square that images became", "224", kind="whole", least=32, most=1024),
        Option(
            "resize",
            "squash: to this square; crop: the shorter side to 256/224 of it, then the middle",
            "squash",
            ("squash", "crop"),
            readings=("squash", "crop"),
        ),
        NORMALISATION,
        *([grid] if made.is_grid else []),
    ]
