"""Every setting, read once from the environment (prefix `UNROLL_`) or from the command line of `unroll serve`.

Only the roots (`app.main`, `app.cli.serve`) read them; everything else receives small frozen values.
"""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.api.access.rate_text import check_rate
from app.store.names import NAME_IN_WORDS, is_model_name
from app.tasks.answers.limits import LONGEST_HORIZON

SECRETS = (
    "admin_key",
    "api_keys",
    "rate_limit_storage",
    "session_storage",
    "state_secret",
)  # passed on in the environment, never on a command line
_OWN_PATHS = ("/v1", "/v2", "/hf", "/assets")  # as a prefix they would be ambiguous
_ORIGINS = r"^(\*|(https?://[^\s,/*]+)(,https?://[^\s,/*]+)*)?$"
_DEVICES = r"^(auto|(cpu|cuda:\d+)(,(cpu|cuda:\d+))*)$"


def is_local(host: str) -> bool:
    """Whether only this machine can connect to the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, Path) else value


def _checked_storage(url: SecretStr | None) -> SecretStr | None:
    if url is not None and not url.get_secret_value().startswith(("redis://", "rediss://", "redis+unix://")):
        raise ValueError("must be a Redis URL, such as redis://host:6379/0")
    return url


def _checked_secrets(secrets: SecretStr | None) -> SecretStr | None:
    if secrets is not None and not any(map(str.strip, secrets.get_secret_value().split(","))):
        raise ValueError("must be one or more secrets, separated by commas")
    return secrets


def _checked_model_name(name: str) -> str:
    if name and not is_model_name(name):
        raise ValueError(f"must be a model's name, which has {NAME_IN_WORDS}")
    return name


def _checked_prefix(path: str) -> str:
    path = path.rstrip("/")
    if not re.fullmatch(r"(/[\w.~-]+)*", path, re.ASCII):
        raise ValueError("must begin with a slash and hold letters, digits, '.', '_', '~' and '-', such as /unroll")
    if path in _OWN_PATHS:
        raise ValueError("must not be the start of the service's own paths; choose another, such as /unroll")
    return path


class Settings(BaseSettings):
    """Each field is `UNROLL_<NAME>` in the environment and `--<name>` on the command line."""

    model_config = SettingsConfigDict(
        env_prefix="UNROLL_", env_ignore_empty=True, frozen=True, extra="ignore", defer_build=True
    )

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 means every network interface.")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(8000, description="Port to listen on; 0 picks a free one.")
    root_path: Annotated[str, AfterValidator(_checked_prefix)] = Field(
        "", description="Path prefix behind a proxy, such as /unroll. The proxy may remove it or keep it."
    )
    store: Annotated[str, BeforeValidator(_as_text)] = Field(
        "model_store", description="Model store: a folder or an fsspec URL that contains <name>/<version>/."
    )
    store_cache: Annotated[str, BeforeValidator(_as_text)] = Field(
        "~/.cache/unroll", description="Local copy of a store at a URL, or of one that is the folder of one model."
    )
    model_name: Annotated[str, AfterValidator(_checked_model_name)] = Field(
        "",
        description="Name of the model if store is the folder of one version, or of one model's versions; empty means "
        "the name in the manifest. Other stores ignore it.",
    )
    watch_seconds: Annotated[float, Field(ge=0)] = Field(
        0.0, description="Seconds between checks of the store for added or removed versions; 0 disables them."
    )
    open: bool = Field(False, description="Allow a host that other machines can reach although no keys are set.")
    api_keys_file: Path | None = Field(
        None, description="Key file (TOML or .json) with hashes of keys. Setting it makes every request need a key."
    )
    api_keys: SecretStr | None = Field(None, description="Content of a key file, in JSON.")
    admin_key: SecretStr | None = Field(
        None, description="Administrator key. Setting it alone does not protect the tasks."
    )
    admin_key_file: Path | None = Field(
        None, description="File with the administrator key, instead of admin_key in the environment."
    )
    rate_limit: Annotated[str, AfterValidator(check_rate)] = Field(
        "", description="Rate of task requests for each key, such as 10/second;1000/hour; empty means no limit."
    )
    rate_limit_storage: Annotated[SecretStr | None, AfterValidator(_checked_storage)] = Field(
        None, description="Redis URL that counts rates for several machines, such as redis://host:6379/0."
    )
    concurrent_inputs: Annotated[int, Field(ge=0)] = Field(
        0, description="Maximum unanswered inputs for each key; 0 means no limit."
    )
    limit_addresses: bool = Field(
        False, description="Apply rate_limit and concurrent_inputs to each client address that sends no key."
    )
    trusted_proxies: str = Field(
        "", description="Proxies whose X-Forwarded-For is used: addresses and networks, or * for any."
    )
    allowed_hosts: str = Field(
        "",
        description="Host names, separated by commas, under which a service without keys on a loopback address may be "
        "called, beside localhost, addresses and this machine's name; * allows any.",
    )
    cors_origins: Annotated[str, Field(pattern=_ORIGINS)] = Field(
        "", description="Origins that CORS allows, such as https://one.example,https://two.example; * allows any."
    )
    hsts_seconds: Annotated[int, Field(ge=0)] = Field(
        0, description="`max-age` of Strict-Transport-Security in seconds; 0 omits the header."
    )
    workers: Annotated[int, Field(ge=1, le=64)] = Field(
        1, description="Number of front-end processes. They share the port and the engines."
    )
    devices: Annotated[str, Field(pattern=_DEVICES)] = Field(
        "auto", description="cpu, or a list such as cuda:0,cuda:1 with one engine each; auto uses every GPU, else cpu."
    )
    engines: Annotated[int, Field(ge=0, le=64)] = Field(
        0, description="Number of engine processes on the CPU; 0 means one per core, at most 4, limited by memory."
    )
    threads: Annotated[int, Field(ge=1, le=256)] = Field(1, description="Torch threads of each engine.")
    models_memory: Annotated[int, Field(ge=0)] = Field(
        0,
        description="Bytes that the loaded versions of one engine may take; idle ones leave for others. 0 means half "
        "of the memory that the engine can have.",
    )
    precision: Literal["auto", "float32", "float16", "bfloat16", "int8"] = Field(
        "auto",
        description="Number type of the weights; auto picks the fastest type that keeps accuracy, and int8 only for "
        "models whose manifest has it.",
    )
    unit: Annotated[int, Field(ge=1, le=64)] = Field(
        6, description="Cell steps of one unit. Requests join, leave and are cancelled between units."
    )
    slots: Annotated[int, Field(ge=0, le=4096)] = Field(
        0,
        description="Maximum rows that one model decodes at the same time in one engine; 0 means 64 on a CPU, and on a "
        "GPU one for each 64 MiB of its memory, rounded down to a power of two, from 64 to 1024.",
    )
    budget: Annotated[int, Field(ge=0)] = Field(
        0,
        description="Maximum padded cell steps encoded in one batch; an image counts as 256. 0 means 1024 on a CPU, "
        "and 16 for each slot on a GPU.",
    )
    max_pending: Annotated[int, Field(ge=1)] = Field(
        2048, description="Maximum admitted, unanswered inputs; further requests get 429."
    )
    max_pending_steps: Annotated[int, Field(ge=1)] = Field(
        2_000_000,
        description="Maximum estimated cell steps of one request, and of admitted, unanswered inputs; further requests "
        "get 429.",
    )
    queue_seconds: Annotated[float, Field(gt=0)] = Field(
        1.0,
        description="Queue time in seconds above which fewer requests are admitted at the same time; further requests "
        "get 429.",
    )
    max_inputs: Annotated[int, Field(ge=1)] = Field(256, description="Maximum inputs of one request.")
    max_body_bytes: Annotated[int, Field(ge=1024)] = Field(
        32 * 1024 * 1024, description="Maximum size of a request body in bytes, checked while the body arrives."
    )
    max_version_bytes: Annotated[int, Field(ge=0)] = Field(
        8 * 1024**3,
        description="Maximum size of a version in bytes that an administrator uploads; 0 forbids uploads.",
    )
    max_text_chars: Annotated[int, Field(ge=1)] = Field(20_000, description="Maximum length of a text in characters.")
    max_series_steps: Annotated[int, Field(ge=1)] = Field(100_000, description="Maximum steps of a series.")
    max_whole_steps: Annotated[int, Field(ge=1)] = Field(
        10_000,
        description="Maximum steps of a text or a series that a model reads as a whole: in both directions, or through "
        "convolutions; a tenth of it, or less through more than ten layers, for cells with functions that PyTorch's "
        "own lack. Until such a source is encoded, the engine does nothing else.",
    )
    max_windows: Annotated[int, Field(ge=1)] = Field(4096, description="Maximum windows of one request.")
    max_window_numbers: Annotated[int, Field(ge=1)] = Field(
        4_000_000, description="Maximum numbers in the windows of one request, padding included."
    )
    max_horizon: Annotated[int, Field(ge=1, le=LONGEST_HORIZON)] = Field(
        10_000, description="Maximum steps ahead of a forecast."
    )
    max_answer_numbers: Annotated[int, Field(ge=1)] = Field(
        500_000,
        description="Maximum numbers in the answer to one request: in forecasts and states, in explanations, or in "
        "the scores of tagged words.",
    )
    max_image_bytes: Annotated[int, Field(ge=1024)] = Field(
        12 * 1024 * 1024, description="Maximum size of an image file in bytes."
    )
    max_image_pixels: Annotated[int, Field(ge=1)] = Field(
        50_000_000, description="Maximum pixels of an image, checked before it is decoded."
    )
    max_frames: Annotated[int, Field(ge=1, le=10_000)] = Field(
        256, description="Maximum images of a clip, before it is sampled to the number of the model."
    )
    max_request_pixels: Annotated[int, Field(ge=1)] = Field(
        32_000_000, description="Maximum pixels of all images and frames of one request, in the size that models read."
    )
    state_secret: Annotated[SecretStr | None, AfterValidator(_checked_secrets)] = Field(
        None,
        description="Secrets that sign states, separated by commas: the first one signs, all verify. Services with the "
        "same secret take each other's states. Without it a service of one worker draws a secret at its start.",
    )
    max_state_bytes: Annotated[int, Field(ge=1024)] = Field(
        1024 * 1024, description="Maximum size of a state in bytes, as a request sends it."
    )
    session_storage: Annotated[SecretStr | None, AfterValidator(_checked_storage)] = Field(
        None,
        description="Redis URL that keeps sessions for several workers and machines, such as redis://host:6379/0; it "
        "needs state_secret. Without it a service of one worker keeps them in its memory.",
    )
    session_seconds: Annotated[float, Field(gt=0)] = Field(
        600.0, description="Seconds after its last request in which a session is kept."
    )
    max_sessions: Annotated[int, Field(ge=1)] = Field(
        1000, description="Maximum sessions of each key; the least recently used leave first."
    )
    max_session_bytes: Annotated[int, Field(ge=1024)] = Field(
        64 * 1024 * 1024,
        description="Maximum bytes of the sessions of each key; the least recently used leave first.",
    )
    max_streams: Annotated[int, Field(ge=1)] = Field(
        2048, description="Maximum streams of pieces that are open at the same time; further ones get 429."
    )
    max_piece_bytes: Annotated[int, Field(ge=1024)] = Field(
        256 * 1024, description="Maximum size of one piece of a stream in bytes."
    )
    stream_seconds: Annotated[float, Field(gt=0)] = Field(
        600.0, description="Seconds that a stream of pieces stays open without a piece."
    )
    request_seconds: Annotated[float, Field(gt=0)] = Field(
        60.0, description="Maximum seconds for one request, and for its body to arrive."
    )
    head_seconds: Annotated[float, Field(gt=0)] = Field(
        10.0, description="Maximum seconds for the head of a request to arrive, counted from the connection."
    )
    idle_seconds: Annotated[float, Field(gt=0)] = Field(
        75.0,
        description="Seconds that a connection stays open between two requests; longer than a load balancer's limit.",
    )
    image_seconds: Annotated[float, Field(ge=0.1, le=600)] = Field(
        5.0, description="Maximum processor seconds to decode an image."
    )
    keep_alive_seconds: Annotated[float, Field(gt=0)] = Field(
        10.0, description="Idle seconds before a keep-alive comment is sent on a stream."
    )
    heartbeat_seconds: Annotated[float, Field(ge=1)] = Field(
        30.0, description="Seconds without a heartbeat before an engine or a worker is killed and restarted."
    )
    drain_seconds: Annotated[float, Field(gt=0)] = Field(
        20.0, description="Maximum seconds to finish running requests after SIGTERM."
    )
    log_level: Literal["critical", "error", "warning", "info", "debug"] = Field(
        "info", description="Lowest level of log lines that are written."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="Format of log lines; auto means console on a terminal, else json."
    )
    log_requests: bool = Field(True, description="Write a log line for each request.")

    def read_admin_key(self) -> str:
        """The administrator key from admin_key_file or admin_key; empty if neither is set. Raises OSError."""
        if self.admin_key_file is not None:
            return self.admin_key_file.read_text(encoding="utf8").strip()
        return "" if self.admin_key is None else self.admin_key.get_secret_value()

    @property
    def needs_keys(self) -> bool:
        """Whether a request to the tasks needs a key."""
        return self.api_keys is not None or self.api_keys_file is not None

    def secrets(self) -> dict[str, str]:
        """The secret settings as environment variables, for processes that this one starts."""
        values = {name: getattr(self, name) for name in SECRETS}
        return {
            f"UNROLL_{name.upper()}": value.get_secret_value() for name, value in values.items() if value is not None
        }

    def share(self, limit: int) -> int:
        """Each worker's share of a limit for the whole service, rounded up."""
        return -(-limit // self.workers)
