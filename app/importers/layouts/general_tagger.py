"""Taggers, recognised by their structure: embedding, recurrences, a head on every output, perhaps a CRF."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch import Tensor

from app.importers.checkpoint import Checkpoint
from app.importers.general_answer import answer_of
from app.importers.general_chain import chain_in, has_spans, known_chain, reads_words, tags_in
from app.importers.general_encoder import encoder_parts
from app.importers.general_options import options_of
from app.importers.general_understanding import understanding_of
from app.importers.layout import Converted, Given, Layout, Needs, Understanding, require
from app.importers.options import Option
from app.importers.structure import Group
from app.importers.text_options import text_options, vocabulary_of
from app.importers.vocabularies import Role
from app.store.tagger import Tagger

_MAY_LABEL = (
    "whether each word has a label, or the text has one (--layout text-classifier), is not in the file: names alone "
    "say so"
)
_NEVER = -1000  # transitions that the tutorial forbids have -10000
_NOT_FOR_TAGS = ("stop_words", "pooling", "norm_at")  # a tag for each word
_EVERY_OUTPUT = {"pooling": "last_output", "norm_at": "outputs"}  # what the head reads, and where its norms are


class GeneralTagger(Layout):
    """The CRF is that of pytorch-crf, or the tutorial's: `transitions[to, from]` with START and STOP among the tags."""

    name = "tagger"
    source = "a tagger of words, recognised by its structure"
    vocabularies: Sequence[Role] = ("source",)

    def matches(self, checkpoint: Checkpoint) -> bool:
        chain = chain_in(checkpoint)
        if chain is None or not reads_words(checkpoint, chain) or chain.attention or chain.pooled != chain.width:
            return False
        return chain.crf is not None or tags_in(checkpoint, chain)

    def fits(self, checkpoint: Checkpoint) -> bool:
        chain = chain_in(checkpoint)
        return chain is not None and reads_words(checkpoint, chain) and chain.pooled == chain.width

    def understanding(self, checkpoint: Checkpoint) -> Understanding:
        chain = known_chain(checkpoint)
        crf = ", CRF " + chain.crf.name if chain.crf else ""
        understood = understanding_of(chain, f"{chain.outputs} tags a word{crf}")
        doubts = [doubt for doubt in understood.unsure if not doubt.endswith(("(pooling)", "(norm_at)"))]
        return Understanding(
            understood.facts, [*doubts, *([] if chain.crf is not None or has_spans(checkpoint) else [_MAY_LABEL])]
        )

    def options(self, checkpoint: Checkpoint) -> Sequence[Option]:
        chain = known_chain(checkpoint)
        crf = [_ORDER, *_ENDS] if chain.crf is not None and _is_tutorials(chain.crf) else []
        options = [*options_of(chain), *map(_by_word, text_options(checkpoint, chain.embedding.outputs))]
        return crf + [option for option in options if option.name not in _NOT_FOR_TAGS]

    def needs(self, checkpoint: Checkpoint, chosen: Mapping[str, str]) -> Needs:
        chain = known_chain(checkpoint)
        return Needs(self.vocabularies, labels=chain.outputs, rows={"source": chain.embedding.outputs})

    def convert(self, checkpoint: Checkpoint, given: Given) -> Converted:
        chain = known_chain(checkpoint)
        values = given.values_with(_EVERY_OUTPUT)
        parts, answer = encoder_parts(chain, values), answer_of(chain, values)
        require(answer.outputs > 1, "a tagger needs two tags or more")
        crf = _crf(chain.crf, given) if chain.crf is not None else {}
        return Converted(
            architecture=Tagger(
                encoder=parts.over(chain.embedding.weight),
                head=answer.members["head"],
                labels=answer.outputs,
                crf=chain.crf is not None,
            ),
            tensors={"encoder.embedding.weight": chain.embedding.weight, **parts.tensors, **answer.tensors, **crf},
            source=vocabulary_of("source", chain.embedding.outputs, given, given.values_with({"stop_words": "none"})),
        )


_ORDER = Option(
    "transitions",
    "to_from: transitions[to, from] as in the tutorial of pytorch.org; from_to: the other way",
    "to_from",
    ("to_from", "from_to"),
    readings=("to_from", "from_to"),
)

_ENDS = tuple(
    Option(
        name,
        f"the tag that stands {where}: found by its name or by transitions of -10000; its name or number; or none",
        "found",
        assumed=True,
    )
    for name, where in (("start_tag", "before a sentence"), ("stop_tag", "behind a sentence"))
)


def _by_word(option: Option) -> Option:
    """Taggers read words as they are, with punctuation as words of its own, and sentences as long as they are unless
    the file has a length."""
    if option.name == "length" and option.usual == "none":
        return replace(option, assumed=True)
    return replace(option, usual="spaces_lower") if option.usual == "basic_english" else option


def _is_tutorials(crf: Group) -> bool:
    return not any(key.startswith("start_") for key in crf.tensors)


def _crf(crf: Group, given: Given) -> dict[str, Tensor]:
    """Our transitions go from the label of a row to that of a column."""
    if not _is_tutorials(crf):
        return {
            "crf.transitions": crf.tensors["transitions"],
            "crf.start": crf.tensors["start_transitions"],
            "crf.end": crf.tensors["end_transitions"],
        }
    (matrix,) = crf.tensors.values()
    from_to = matrix.T.contiguous() if given.values.text("transitions") == "to_from" else matrix
    labels = [label.strip("<>[] ").upper() for label in given.labels]
    starts = [place for place, label in enumerate(labels) if label in ("START", "BOS", "START_TAG")]
    stops = [place for place, label in enumerate(labels) if label in ("STOP", "END", "EOS", "STOP_TAG", "END_TAG")]
    if not starts and not stops:  # labels without names: nothing goes to START, and nothing comes from STOP
        starts, stops = ((from_to.amax(side) <= _NEVER).nonzero().flatten().tolist() for side in (0, 1))
    ends = {}
    for option, found in (("start_tag", starts), ("stop_tag", stops)):
        chosen = given.values.text(option)
        if chosen != "found":
            found = _places(option, chosen, given.labels, len(matrix))
        require(
            chosen == "none" or len(found) == 1,
            f"which tag stands before a sentence and which one behind it is not known ({option}): name START and STOP "
            f"in --labels, or use --set {option}=NAME, its number, or none if the CRF has no such tag",
        )
        ends[option] = found
    zeros = from_to.new_zeros(len(matrix))
    return {
        "crf.transitions": from_to,
        "crf.start": from_to[ends["start_tag"][0]] if ends["start_tag"] else zeros,
        "crf.end": from_to[:, ends["stop_tag"][0]] if ends["stop_tag"] else zeros,
    }


def _places(option: str, value: str, labels: Sequence[str], count: int) -> list[int]:
    """The place of a tag by its name or its number."""
    if value == "none":
        return []
    if value in labels:
        return [list(labels).index(value)]
    require(value.isdecimal() and int(value) < count, f"--set {option}={value}: there is no such tag; use its name")
    return [int(value)]
