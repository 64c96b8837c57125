"""The keyword arguments that `save` lacks."""

from collections.abc import Sequence

from app.errors import ImportFailed
from app.importers.questions import Question, QuestionsOpen

_KEYWORDS = {"--labels": "labels", "--features": "features", "--targets": "targets"}


class ArgumentsMissing(ImportFailed):
    """`arguments` are the names of the keyword arguments that `save` needs."""

    def __init__(self, questions: QuestionsOpen, name: str, found: Sequence[str]) -> None:
        self.arguments = tuple(dict.fromkeys(keyword_of(question)[0] for question in questions.questions))
        listed = "\n".join(_line(question) for question in questions.questions)
        values = ", ".join(dict.fromkeys("=".join(keyword_of(question)) for question in questions.questions))
        super().__init__(
            f"save() needs these keyword arguments, or usual=True for the usual values (a wrong value gives wrong "
            f"answers and no error):\n{listed}\n"
            f"the whole call; replace what is wrong:\n  save(module, name={name!r}, {values})\n"
            f"what is known:\n{questions.seen}" + "".join(f"found: {fact}\n" for fact in found)
        )


def keyword_of(question: Question) -> tuple[str, str]:
    """The keyword argument of a question, and its value in Python."""
    usual = question.usual
    if question.flag == "--set":
        return question.name, repr(usual) if usual is not None else "..."
    if question.flag == "--vocab":
        return "vocabulary", repr(usual) if usual else "words"
    if question.flag == "--scaler":
        return "scaler", f'{{"{question.name}": {usual!r}}}' if question.name else repr(usual)
    return _KEYWORDS.get(question.flag, question.flag.removeprefix("--")), repr((usual or "...").split(","))


def _line(question: Question) -> str:
    name, value = keyword_of(question)
    values = f" ({question.values})" if question.values else ""
    depends = f"\n      {question.depends}" if question.depends else ""
    return f"  {name}={value}  {question.meaning}{values}{depends}"
