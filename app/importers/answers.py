"""The answers to the questions of a layout: from the user, from the files, or usual values."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from app.errors import ImportFailed
from app.importers.checkpoint import Checkpoint
from app.importers.columns import columns_of
from app.importers.labels import labels_of
from app.importers.layout import Given, Layout, Needs, Understanding
from app.importers.options import OptionValues, checked
from app.importers.questions import Question, QuestionsOpen, of_option
from app.importers.reading import Plain
from app.importers.recognition import Recognised
from app.importers.request import ImportRequest
from app.importers.text_rules.keras_tokenizer import tokenizer_of
from app.importers.vocabularies import BUILT_IN, Role, WordFile
from app.importers.whole_modules import told_by, with_function

_HINTS: Mapping[Role, Sequence[str]] = {
    "source": ("source", "src", "input", "lang1", "de_vocab"),
    "target": ("target", "trg", "tgt", "output", "lang2", "en_vocab"),
}
_BRACKETS = re.compile(r"\((--layout [a-z-]+|[a-z_]+(?:, [a-z_]+)*)\)")


@dataclass
class Round:
    """The state of a round: what is known, where it is from, what is still open, which answer may be wrong,
    which options were not asked for, and which do not matter."""

    questions: list[Question] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    usual: list[str] = field(default_factory=list)
    unsure: list[str] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)
    idle: list[str] = field(default_factory=list)
    accepts_usual: bool = False

    def ask(self, question: Question) -> str | None:
        """The usual value, if the user accepts it; otherwise the question is open."""
        if self.accepts_usual and question.usual is not None:
            self.usual.append(" ".join(question.arguments()))
            return question.usual
        self.questions.append(question)
        return None


def answer(
    recognised: Recognised, checkpoint: Checkpoint, request: ImportRequest, files: Sequence[WordFile]
) -> tuple[Given, Round]:
    """`files` are the vocabularies of the request. Raises QuestionsOpen with all that is missing, and ImportFailed for
    an answer that cannot be right."""
    layout = recognised.layout
    options = [with_function(option, checkpoint.functions) for option in layout.options(checkpoint)]
    chosen = checked(options, request.settings, layout.name, recognised.others)
    state = Round(accepts_usual=request.accept_usual)
    for option in options:
        if option.name in checkpoint.answers:
            chosen.setdefault(option.name, option.check(checkpoint.answers[option.name]))
        if option.of_rows:
            continue
        if (option.assumed or option.is_idle(chosen)) and option.usual is not None and option.name not in chosen:
            chosen[option.name] = option.usual
            (state.idle if option.is_idle(chosen) else state.assumed).append(option.name)
        if option.name not in chosen and (usual := state.ask(of_option(option))) is not None:
            chosen[option.name] = usual
    known = {option.name: option.usual for option in options if option.usual is not None} | chosen
    needs = layout.needs(checkpoint, known)
    words, contents = _vocabularies(layout, needs, files, checkpoint, state)
    labels = labels_of(needs, request.labels, checkpoint, words.values(), state)
    columns = columns_of(needs.columns, request, checkpoint, state)
    outputs = max(needs.columns.targets, default=0) if needs.columns else 0
    for option in options:
        if option.of_rows and option.name not in chosen:
            is_idle = not 1 < len(columns.targets) < outputs
            value = option.usual if is_idle else state.ask(of_option(option))
            chosen |= {option.name: value} if value is not None else {}
    if state.questions:
        raise QuestionsOpen(layout, understanding_of(layout, checkpoint, state), state.questions, recognised.others)
    values = OptionValues({option.name: chosen[option.name] for option in options})
    given = Given(values, words, contents, labels, columns.features, columns.targets, columns.scalers)
    return given, state


def understanding_of(layout: Layout, checkpoint: Checkpoint, state: Round) -> Understanding:
    """What the layout understands, without doubts about options that a file answers, and doubts about answers."""
    understood = layout.understanding(checkpoint)
    doubts = [told_by(doubt, checkpoint.functions) for doubt in _unsettled(understood.unsure, checkpoint.answers)]
    facts = understood.facts
    if checkpoint.answers.get("nonlinearity") == "relu":
        facts = [fact.replace("RNN (tanh)", "RNN (relu)") for fact in facts]
    return Understanding(facts, [*doubts, *state.unsure])


def open_doubts(understanding: Understanding, request: ImportRequest) -> list[str]:
    """The doubts that the user has not settled: neither by the options that they name in brackets, nor by --layout."""
    return _unsettled(understanding.unsure, {*request.settings, *(["--layout"] if request.layout else [])})


def _unsettled(doubts: Sequence[str], settled: Collection[str]) -> list[str]:
    """The doubts that name no options in brackets, or others than those of `settled`."""
    found = []
    for doubt in doubts:
        named = [name for inside in _BRACKETS.findall(doubt) for name in inside.split(", ")]
        if not named or not all(name.partition(" ")[0] in settled for name in named):
            found.append(doubt)
    return found


def _vocabularies(
    layout: Layout, needs: Needs, files: Sequence[WordFile], checkpoint: Checkpoint, state: Round
) -> tuple[dict[Role, Sequence[str]], dict[Role, Plain]]:
    roles = needs.vocabularies
    if files and not roles:
        raise ImportFailed("this network reads no words: leave out --vocab")
    if unknown := [file.role for file in files if file.role is not None and file.role not in roles]:
        raise ImportFailed(
            f"layout {layout.name} has no {unknown[0]} vocabulary; it has {' and '.join(roles)}. --layout chooses "
            "another"
        )
    assigned = _assigned(needs, files)
    _check_not_swapped(needs, assigned)
    words: dict[Role, Sequence[str]] = {role: file.words for role, file in assigned.items()}
    contents = {role: file.content for role, file in assigned.items()}
    for role in roles:
        if role in words:
            continue
        path = _place(role, needs, checkpoint)
        if path is None:
            name = state.ask(_question(role, needs, checkpoint))
            words[role] = BUILT_IN[name] if name else ()
        else:
            words[role], contents[role] = checkpoint.vocabularies[path], checkpoint.contents.get(path)
            state.found.append(f"{role} vocabulary: {len(words[role]):,} words of {checkpoint.name_of(path)}")
    return words, contents


def _assigned(needs: Needs, files: Sequence[WordFile]) -> dict[Role, WordFile]:
    """The files by role. Files without a role get the open ones: by their sizes, if there are several."""
    assigned = {file.role: file for file in files if file.role is not None}
    nameless = [file for file in files if file.role is None]
    still = [role for role in needs.vocabularies if role not in assigned]
    if len(nameless) == len(still) == 1:
        return assigned | {still[0]: nameless[0]}
    for role in still:
        fitting = [file for file in nameless if len(file.words) == needs.rows.get(role)]
        if len(fitting) == 1:
            assigned[role] = fitting[0]
    if len(assigned) < len(files):
        raise ImportFailed(
            f"{len(nameless)} vocabularies have no role, and {len(still)} roles are open: name the role of each, "
            + " ".join(f"--vocab {role}=FILE" for role in needs.vocabularies)
        )
    return assigned


def _check_not_swapped(needs: Needs, assigned: Mapping[Role, WordFile]) -> None:
    sizes = {role: len(file.words) for role, file in assigned.items()}
    rows = needs.rows
    if not set(sizes) == set(rows) == {"source", "target"} or sizes == rows:
        return
    if (sizes["source"], sizes["target"]) == (rows["target"], rows["source"]):
        raise ImportFailed(
            f"the vocabularies are swapped: the encoder has {rows['source']} rows, and {assigned['source'].file} "
            f"{sizes['source']} words. Use --vocab source={assigned['target'].file} "
            f"--vocab target={assigned['source'].file}"
        )


def _place(role: Role, needs: Needs, checkpoint: Checkpoint) -> str | None:
    """The path of the vocabulary of a role inside the files, if one can be meant."""
    inside = checkpoint.vocabularies
    rows = needs.rows.get(role)
    fitting = [path for path, words in inside.items() if rows is None or len(words) == rows]
    hinted = [path for path in fitting if any(hint in checkpoint.name_of(path).lower() for hint in _HINTS[role])]
    if len(hinted) == 1:
        return hinted[0]
    if len(fitting) == 1 and (rows is not None or len(needs.vocabularies) == len(inside) == 1):
        return fitting[0]
    if not fitting and rows is not None:
        smaller = [path for path, words in inside.items() if len(words) < rows and _is_tokenizer(path, checkpoint)]
        return smaller[0] if len(smaller) == 1 else None
    same = {tuple(inside[path]) for path in fitting}
    return fitting[0] if rows is not None and len(same) == 1 else None


def _is_tokenizer(path: str, checkpoint: Checkpoint) -> bool:
    """Whether a vocabulary is that of a Tokenizer of Keras, whose words may be fewer than the rows."""
    return tokenizer_of(checkpoint.contents.get(path)) is not None


def _question(role: Role, needs: Needs, checkpoint: Checkpoint) -> Question:
    rows = needs.rows.get(role)
    size = f"; the embedding has {rows:,} rows" if rows is not None else ""
    inside = ", ".join(
        f"{checkpoint.name_of(path)} ({len(words):,} words)" for path, words in checkpoint.vocabularies.items()
    )
    lacks = f"the checkpoint contains no {role} vocabulary"
    if inside and rows is not None:
        lacks = f"no list of words in the files has the size of the {role} embedding"
    return Question(
        "--vocab",
        f"{role.upper()}_VOCABULARY_FILE",
        f"{lacks}: a file with its words{size}",
        name=role,
        usual=next((name for name, words in BUILT_IN.items() if len(words) == rows), None),
        depends=f"the files contain these lists of words: {inside}. One of another size is of another model, or was "
        "built again, which numbers its words differently"
        if inside
        else "",
    )
