"""The questions of an import: what the files do not contain, all in one round."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.errors import ImportFailed
from app.importers.layout import Layout, Understanding
from app.importers.options import Option


@dataclass(frozen=True)
class Question:
    """A fact that is missing. `flag` is the option that gives it, such as `--set` or `--labels`, `name` the name before
    the equals sign, if it has one, and `form` stands for the value. `depends` says what another value changes. Where
    another option has the value of `idle_where`, it does not matter. `checked` raises ImportFailed for a value that
    cannot be; `count` is the number of names that are needed."""

    flag: str
    form: str
    meaning: str
    name: str = ""
    usual: str | None = None
    choices: Sequence[str] = ()
    values: str = ""
    depends: str = ""
    idle_where: tuple[str, str] | None = None
    checked: Callable[[str], str] | None = None
    count: int | None = None

    @property
    def subject(self) -> str:
        """What it is about, in a prompt: `tokenizer`, `source vocabulary`."""
        return f"{self.flag.removeprefix('--')} {self.name}".strip() if self.flag != "--set" else self.name

    def arguments(self, value: str | None = None) -> list[str]:
        """The arguments of a command line that give the value, by default the usual one."""
        given = value if value is not None else self.usual if self.usual is not None else self.form
        return [self.flag, f"{self.name}={given}" if self.name else given]

    def describe(self) -> str:
        shown = shlex.join(self.arguments())
        values = f" ({self.values})" if self.values else ""
        usual = "" if self.usual is None else f"; usually {self.usual}"
        depends = f"\n      {self.depends}" if self.depends else ""
        return f"  {shown}  {self.meaning}{values}{usual}{depends}"


def of_option(option: Option) -> Question:
    return Question(
        "--set",
        "...",
        option.meaning,
        name=option.name,
        usual=option.usual,
        choices=option.choices,
        values=option.values if option.choices or option.usual is None else "",
        depends=option.depends,
        idle_where=option.idle_where,
        checked=option.check,
    )


class QuestionsOpen(ImportFailed):
    """The files do not contain all that the layout needs. `detail` is the whole round in words, without the command."""

    def __init__(
        self, layout: Layout, understanding: Understanding, questions: Sequence[Question], others: Sequence[str] = ()
    ) -> None:
        self.layout, self.questions = layout, questions
        listed = "\n".join(question.describe() for question in questions)
        also = f"if it is not of this layout, choose another one that fits: --layout {', '.join(others)}\n"
        self.seen = f"layout: {layout.name}, {layout.source}\n{describe(understanding)}{also if others else ''}"
        super().__init__(
            f"{self.seen}"
            "the checkpoint does not contain these; set them, or accept the usual values with --usual (a wrong value "
            f"gives wrong answers and no error):\n{listed}"
        )

    @property
    def arguments(self) -> list[str]:
        """What to add to the command line: the layout, and every answer with its usual value or a placeholder."""
        added = ["--layout", self.layout.name]
        for question in self.questions:
            added += question.arguments()
        return added


def describe(understanding: Understanding) -> str:
    """A line for each fact, and for each doubt; empty if there are none."""
    facts = [f"understood: {fact}\n" for fact in understanding.facts]
    return "".join(facts + [f"unsure: {doubt}\n" for doubt in understanding.unsure])
