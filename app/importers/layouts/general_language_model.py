"""Language models, recognised by their structure: as many outputs as the vocabulary has words or characters.

The inputs are an embedding, or one-hot rows. The state is kept from word to word, or each word is predicted from the
last `window` ids anew, as in most tutorials on the next word.
"""

from collections.abc import Mapping, Sequence

import torch

from app.importers.chain import Chain
from app.importers.checkpoint import Checkpoint
from app.importers.general_answer import answer_of
from app.importers.general_chain import chain_in, is_one_hot, known_chain
from app.importers.general_encoder import encoder_parts
from app.importers.general_options import options_of
from app.importers.general_understanding import understanding_of
from app.importers.layout import Converted, Given, Layout, Needs, Understanding, require
from app.importers.options import Option, OptionValues
from app.importers.parts import prefixed, recurrent_weights
from app.importers.stacks import Layer as StackLayer
from app.importers.stacks import is_stack, stacked, widened_output
from app.importers.text_options import known_words, text_options, vocabulary_of
from app.importers.text_rules.marks import padding_word
from app.importers.vocabularies import Role
from app.store.decoding import Decoding, TokenLimits
from app.store.language_model import LanguageModel
from app.store.window_language_model import WindowLanguageModel

_STARTS = ("<bos>", "<s>", "<sos>", "<start>", "xxbos", "<go>", "<eos>", "</s>", "<end>")
_ENDS = ("<eos>", "</s>", "<end>", "xxeos")
_MOST_TOKENS = 1000
_NOT_FOR_MODELS = ("length", "padding", "truncating", "stop_words", "prepend", "append")


class GeneralLanguageModel(Layout):
    """One recurrence, or several of one size, whose state is kept; other networks read a window."""

    name = "language-model"
    source = "a language model, recognised by its structure"
    vocabularies: Sequence[Role] = ("source",)

    def matches(self, checkpoint: Checkpoint) -> bool:
        chain = chain_in(checkpoint)
        if chain is None or chain.crf is not None:
            return False
        return chain.outputs == _rows(chain) and (chain.table is not None or is_one_hot(checkpoint, chain))

    def fits(self, checkpoint: Checkpoint) -> bool:
        chain = chain_in(checkpoint)
        return chain is not None and chain.crf is None and chain.outputs == _rows(chain)

    def understanding(self, checkpoint: Checkpoint) -> Understanding:
        chain = known_chain(checkpoint)
        understood = understanding_of(chain, "as many as the vocabulary has words: the next one")
        facts = list(understood.facts)
        if chain.table is None:
            facts.append(f"one-hot inputs: each step reads {_rows(chain)} numbers, as many as there are outputs")
        if chain.is_tied:
            facts.append("the output layer has the weights of the embedding")
        unsure = [doubt for doubt in understood.unsure if "(pooling)" not in doubt or not _keeps_state(chain)]
        unsure.append(
            "whether the state is kept from word to word, or a window is read anew, is not in the file (window)"
        )
        if chain.table is not None and len(chain.structure.groups) <= 3:
            unsure.append(
                "a decoder of a pair has the same parts: if it is one, give its encoder, too (--checkpoint ENCODER "
                "--checkpoint DECODER)"
            )
        return Understanding(facts, unsure)

    def options(self, checkpoint: Checkpoint) -> Sequence[Option]:
        chain = known_chain(checkpoint)
        found = known_words(checkpoint, _rows(chain))
        window = checkpoint.whole_setting(
            "window", "seq_length", "seq_len", "sequence_length", "max_sequence_len", "block_size"
        )
        is_kept = _keeps_state(chain)
        texts = [option for option in text_options(checkpoint, _rows(chain)) if option.name not in _NOT_FOR_MODELS]
        return [
            Option(
                "window",
                "none: the state is kept from word to word; a number: each word is predicted from that many last ids",
                "none" if is_kept else str(window) if window else None,  # such a network cannot keep its state
                kind="whole",
                or_none=is_kept,
                depends="a model that was trained on windows forgets what is before them",
                readings=("none", "10", "40") if is_kept else (),
            ),
            Option(
                "pad",
                "the id before a text that is shorter than the window; none reads it as it is",
                "none",
                idle_where=("window", "none"),
            ),
            Option(
                "start",
                "the word that a text begins with, before its own first word; none",
                next((word for word in found if word.lower() in _STARTS), "none"),
                depends="the original code feeds it first, or begins with the first word of the text",
            ),
            Option(
                "end",
                "the word that ends a text; none: texts end at max_tokens",
                next((word for word in found if word.lower() in _ENDS), "none"),
            ),
            Option("max_tokens", "words of a completion", "100", kind="whole", most=_MOST_TOKENS, assumed=True),
            *(option for option in options_of(chain) if option.name != "pooling" or not is_kept),
            *texts,
        ]

    def needs(self, checkpoint: Checkpoint, chosen: Mapping[str, str]) -> Needs:
        return Needs(self.vocabularies, rows={"source": _rows(known_chain(checkpoint))})

    def convert(self, checkpoint: Checkpoint, given: Given) -> Converted:
        chain, values = known_chain(checkpoint), given.values
        rows, words = _rows(chain), list(given.words["source"])
        window = values.number_or_none("window")
        start, end = (_id(values.text(name), words, name) for name in ("start", "end"))
        parts, answer = encoder_parts(chain, values), answer_of(chain, values)
        table = chain.table.weight if chain.table is not None else torch.eye(rows)
        tensors = {"encoder.embedding.weight": table, **parts.tensors}
        architecture: LanguageModel | WindowLanguageModel
        if window is None:
            require(
                _keeps_state(chain),
                "only a network of recurrences of one kind in one direction, with one layer after them, can keep its "
                "state: say how many words it reads with --set window=N",
            )
            recurrence, weights = stacked(_layers(chain, values.given.get("nonlinearity", "tanh")))
            architecture = LanguageModel(vocabulary_size=rows, recurrence=recurrence)
            tensors = {
                "encoder.embedding.weight": table,
                **prefixed(weights, "encoder.recurrence."),
                "decoder.output.weight": widened_output(answer.tensors["output.weight"], recurrence.hidden_size),
                "decoder.output.bias": answer.tensors["output.bias"],
            }
        else:
            architecture = WindowLanguageModel.model_validate(
                {**answer.members, "encoder": parts.over(table), "window": window, "pad": _pad(values, words)}
            )
            tensors |= answer.tensors
        return Converted(
            architecture=architecture,
            tensors=tensors,
            source=vocabulary_of(
                "source",
                rows,
                given,
                given.values_with({**_DEFAULTS, "prepend": values.text("start")}),
                hidden=() if end is None else (values.text("end"),),
            ),
            decoding=Decoding(
                bos=0 if start is None else start,
                eos=0 if end is None else end,
                fixed_steps=end is None,
                max_tokens=values.number("max_tokens"),
            ),
            limits=TokenLimits(max_tokens=_MOST_TOKENS),
        )


_DEFAULTS = {"length": "none", "padding": "left", "truncating": "left", "stop_words": "none", "append": "none"}


def _rows(chain: Chain) -> int:
    """Words or characters: rows of the embedding, or columns of one-hot inputs."""
    return chain.table.outputs if chain.table is not None else chain.features


def _keeps_state(chain: Chain) -> bool:
    is_plain = not (chain.front or chain.back or chain.attention or any(chain.between.values()))
    recurrences = [recurrence for recurrence, _ in _layers(chain)]
    return is_plain and len(chain.head) == 1 and is_stack(recurrences) and chain.pooled == chain.width


def _layers(chain: Chain, nonlinearity: str = "tanh") -> list[StackLayer]:
    """The recurrences with their weights."""
    structure = chain.structure
    return [
        (structure.recurrence(group, nonlinearity=nonlinearity), recurrent_weights(structure.tensors, group.prefix))
        for group in chain.recurrences
    ]


def _pad(values: OptionValues, words: Sequence[str]) -> int | None:
    value = values.text("pad")
    if value == "none":
        return None
    if value.isdecimal():
        return int(value)
    word = padding_word(words) if value == "found" else value
    return _id(word or value, words, "pad")


def _id(value: str, words: Sequence[str], name: str) -> int | None:
    if value == "none":
        return None
    require(value in words, f"--set {name}={value}: the vocabulary has no such word")
    return words.index(value)
