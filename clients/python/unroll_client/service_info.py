"""Models and readiness of the service as frozen values."""

from dataclasses import dataclass

from unroll_client.values import Value


@dataclass(frozen=True, kw_only=True)
class QualityFigure(Value):
    """A measured number of a model card."""

    measure: str
    value: float
    data: str


@dataclass(frozen=True, kw_only=True)
class SeriesInfo(Value):
    """The numbers that a model over series reads, and those that it forecasts."""

    features: list[str]
    targets: list[str]
    window: int | None = None
    horizon: int | None = None
    longest_horizon: int | None = None
    pad: str
    missing: str
    interval: str | None = None


@dataclass(frozen=True, kw_only=True)
class RegistersInfo(Value):
    """The registers that a model writes in; without `default` the model chooses."""

    names: list[str]
    default: str | None = None


@dataclass(frozen=True, kw_only=True)
class ModelInfo(Value):
    """A version that is served."""

    name: str
    version: int
    task: str
    description: str
    domain: dict[str, str] | None = None
    languages: list[str]
    architecture: str
    parameters: int
    bytes: int
    labels: list[str]
    source: str
    series: SeriesInfo | None = None
    frames: int | None = None
    registers: RegistersInfo | None = None
    unsure_below: float | None = None
    quality: list[QualityFigure]
    state: str
    carries_state: bool
    default: bool
    default_version: bool
    licence: str


@dataclass(frozen=True, kw_only=True)
class BrokenModel(Value):
    """A version that cannot be used."""

    model: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class ModelList(Value):
    """The versions that are served, and the broken ones."""

    models: list[ModelInfo]
    broken: list[BrokenModel]


@dataclass(frozen=True, kw_only=True)
class Readiness(Value):
    """Whether the service answers requests, and with which models. True in a condition if it does."""

    status: str
    engines_ready: int
    engines: int
    models: list[str]
    broken: list[BrokenModel]

    def __bool__(self) -> bool:
        return self.status == "ready"


@dataclass(frozen=True, kw_only=True)
class SessionInfo(Value):
    """A session that the service keeps; `expires_in` is in seconds, without a further request."""

    name: str
    model: str
    version: int
    bytes: int
    requests: int
    expires_in: float


@dataclass(frozen=True, kw_only=True)
class SessionList(Value):
    """The sessions of a key, the least recently used first."""

    sessions: list[SessionInfo]


@dataclass(frozen=True, kw_only=True)
class Forgotten(Value):
    """The names of sessions that were there, and are forgotten."""

    forgotten: list[str]
