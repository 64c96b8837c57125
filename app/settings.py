"""Every setting, read once from the environment (prefix `UNROLL_`) or from the command line of `unroll serve`.

Only the roots (`app.main`, `app.cli.serve`) read them; everything else receives small frozen values.
"""

import ipaddress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.api.access.rates import check_rate

SECRETS = ("admin_key", "api_keys", "rate_limit_storage")  # handed on in the environment, and on no command line
_ORIGINS = r"^(\*|(https?://[^\s,/*]+)(,https?://[^\s,/*]+)*)?$"
_DEVICES = r"^(auto|(cpu|cuda:\d+)(,(cpu|cuda:\d+))*)$"


def is_local(host: str) -> bool:
    """Whether an address to listen on is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, Path) else value


def _checked_storage(url: SecretStr | None) -> SecretStr | None:
    if url is not None and not url.get_secret_value().startswith(("redis://", "rediss://", "redis+unix://")):
        raise ValueError("it is the URL of a Redis, such as redis://host:6379/0")
    return url


class Settings(BaseSettings):
    """Each field is `UNROLL_<NAME>` in the environment and `--<name>` on the command line."""

    model_config = SettingsConfigDict(env_prefix="UNROLL_", env_ignore_empty=True, frozen=True, extra="ignore")

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 is every network interface.")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(8000, description="Port to listen on; 0 takes a free one.")
    store: Annotated[str, BeforeValidator(_as_text)] = Field(
        "model_store", description="Folder, or URL of fsspec, with the models to serve: <name>/<version>/."
    )
    store_cache: Annotated[str, BeforeValidator(_as_text)] = Field(
        "~/.cache/unroll", description="Folder into which a store at a URL is copied."
    )
    watch_seconds: Annotated[float, Field(ge=0)] = Field(
        0.0, description="Seconds between two looks for versions that came or went; 0 looks only when asked to."
    )
    open: bool = Field(False, description="Listen where others can reach the service although there are no keys.")
    api_keys_file: Path | None = Field(
        None, description="File, TOML or .json, with the hashes of keys; with it every request needs a key."
    )
    api_keys: SecretStr | None = Field(None, description="The same in JSON, as text.")
    admin_key: SecretStr | None = Field(
        None, description="One key for administrators, without which nothing but administration needs a key."
    )
    admin_key_file: Path | None = Field(None, description="File with that key, which then stands in no environment.")
    rate_limit: Annotated[str, AfterValidator(check_rate)] = Field(
        "", description="Requests to the tasks that one key may send, such as 10/second;1000/hour."
    )
    rate_limit_storage: Annotated[SecretStr | None, AfterValidator(_checked_storage)] = Field(
        None, description="URL of a Redis in which rates are counted for several machines, such as redis://host:6379/0."
    )
    concurrent_inputs: Annotated[int, Field(ge=0)] = Field(
        0, description="Inputs of one key at the same time; 0 is no limit."
    )
    limit_addresses: bool = Field(
        False, description="Without a key, both limits hold for each client address; else for none."
    )
    trusted_proxies: str = Field(
        "", description="Addresses and networks of proxies whose X-Forwarded-For is believed; * is any."
    )
    cors_origins: Annotated[str, Field(pattern=_ORIGINS)] = Field(
        "", description="Origins whose pages may use the service, https://one.example,https://two.example; * is any."
    )
    hsts_seconds: Annotated[int, Field(ge=0)] = Field(
        0, description="Seconds for which browsers are told to come over TLS alone; 0 tells them nothing."
    )
    workers: Annotated[int, Field(ge=1, le=64)] = Field(
        1, description="Front-end processes, which share the port and the engines."
    )
    devices: Annotated[str, Field(pattern=_DEVICES)] = Field(
        "auto", description="cpu, or cuda:0,cuda:1 and so on, an engine each; auto takes every GPU, or else cpu."
    )
    engines: Annotated[int, Field(ge=0, le=64)] = Field(
        0, description="Engine processes on the CPU; 0 is one per core up to 4, and no more than memory has room for."
    )
    threads: Annotated[int, Field(ge=1, le=256)] = Field(1, description="Torch threads of each engine.")
    precision: Literal["auto", "float32", "float16", "bfloat16"] = Field(
        "auto",
        description="Number type of weights; auto takes what the device is fast with and answers do not suffer by.",
    )
    unit: Annotated[int, Field(ge=1, le=64)] = Field(
        6, description="Cell steps between two looks at what has arrived, left or been cancelled."
    )
    slots: Annotated[int, Field(ge=1, le=4096)] = Field(
        64, description="Rows that one model emits at the same time in one engine."
    )
    budget: Annotated[int, Field(ge=1)] = Field(
        1024, description="Padded cell steps of one piece of consuming; an image counts as 256."
    )
    max_pending: Annotated[int, Field(ge=1)] = Field(
        2048, description="Inputs accepted and not yet answered; more are refused with 429."
    )
    max_pending_steps: Annotated[int, Field(ge=1)] = Field(
        2_000_000, description="Cell steps accepted and not yet run; more are refused with 429."
    )
    max_inputs: Annotated[int, Field(ge=1)] = Field(256, description="Inputs of one request.")
    max_body_bytes: Annotated[int, Field(ge=1024)] = Field(
        32 * 1024 * 1024, description="Bytes of one request body; refused while it is being read."
    )
    max_text_chars: Annotated[int, Field(ge=1)] = Field(20_000, description="Characters of one text.")
    max_image_bytes: Annotated[int, Field(ge=1024)] = Field(12 * 1024 * 1024, description="Bytes of one image file.")
    max_image_pixels: Annotated[int, Field(ge=1)] = Field(
        50_000_000, description="Pixels of one image, checked before it is decoded."
    )
    request_seconds: Annotated[float, Field(gt=0)] = Field(
        60.0, description="Longest time for one request, in seconds."
    )
    keep_alive_seconds: Annotated[float, Field(gt=0)] = Field(
        10.0, description="Silence of a stream after which a comment is sent, so that nobody on the way closes it."
    )
    heartbeat_seconds: Annotated[float, Field(ge=1)] = Field(
        30.0, description="Silence of an engine or a worker after which it is killed and started again, in seconds."
    )
    drain_seconds: Annotated[float, Field(gt=0)] = Field(
        20.0, description="Longest time to finish running requests after SIGTERM, in seconds."
    )
    log_level: Literal["critical", "error", "warning", "info", "debug"] = Field(
        "info", description="Least severe log lines that are written."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="Form of log lines; auto is console on a terminal and json elsewhere."
    )
    log_requests: bool = Field(True, description="Whether each request has a log line.")

    def read_admin_key(self) -> str:
        """The key for administrators, from wherever it was given; empty if there is none. Raises OSError."""
        if self.admin_key_file is not None:
            return self.admin_key_file.read_text(encoding="utf8").strip()
        return "" if self.admin_key is None else self.admin_key.get_secret_value()

    @property
    def needs_keys(self) -> bool:
        """Whether a request to the tasks needs a key."""
        return self.api_keys is not None or self.api_keys_file is not None

    def secrets(self) -> dict[str, str]:
        """What must not stand on a command line, as environment variables."""
        found = {name: getattr(self, name) for name in SECRETS}
        return {
            f"UNROLL_{name.upper()}": value.get_secret_value() for name, value in found.items() if value is not None
        }

    def share(self, limit: int) -> int:
        """What each of the workers has of a limit for all."""
        return -(-limit // self.workers)
