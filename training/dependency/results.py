"""The results of the three measurements, as one JSON file."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from training.dependency.distance import Survival
from training.dependency.recall import Outcome


@dataclass(frozen=True, kw_only=True)
class Fading:
    """Gradient norms of one classifier at distances 0, 1, 2 and so on, relative to distance 0.

    `state` and `label` as in `training.dependency.gradients`; None where no text had any gradient.
    """

    network: str
    description: str
    texts: int
    state: list[float | None]
    label: list[float | None]


@dataclass(kw_only=True)
class Results:
    """`effort` is the training of the recall task; `missing` are the classifiers without measurements, with the
    reason."""

    effort: dict[str, float] = field(default_factory=dict)
    recall: list[Outcome] = field(default_factory=list)
    gradients: list[Fading] = field(default_factory=list)
    distance: list[Survival] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        lines = []
        for name, value in asdict(self).items():
            rows = ",\n  ".join(json.dumps(row) for row in value) if isinstance(value, list) else ""
            lines.append(f" {json.dumps(name)}: " + (f"[\n  {rows}\n ]" if rows else json.dumps(value)))
        path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf8")

    @classmethod
    def read(cls, path: Path) -> "Results":
        kept = json.loads(path.read_text(encoding="utf8"))
        return cls(
            effort=kept["effort"],
            recall=[Outcome(**row) for row in kept["recall"]],
            gradients=[Fading(**row) for row in kept["gradients"]],
            distance=[Survival(**row) for row in kept["distance"]],
            missing=kept["missing"],
        )
