"""The settings of a service in a cluster: the same on all machines, whatever their environment says."""

import os
import secrets
from pathlib import Path

from pydantic import SecretStr

from app.cluster.options import ClusterOptions
from app.settings import Settings, is_local
from app.store.names import is_url

_HAPROXY = "RAY_SERVE_ENABLE_HA_PROXY"


def settings_of(options: ClusterOptions) -> Settings:
    """The settings in the options, or else in the environment of this process. States are signed with a secret that is
    drawn here if there is none. Raises ValueError."""
    unknown = options.settings.keys() - Settings.model_fields
    if unknown:
        raise ValueError(f"no such settings: {', '.join(sorted(unknown))}; docs/settings.md lists them")
    settings = Settings(**options.settings)
    by_haproxy = os.environ.get(_HAPROXY, "0") == "1" and "host" not in options.settings  # which listens everywhere
    if not (settings.needs_keys or settings.open) and (by_haproxy or not is_local(settings.host)):
        address = f"the HAProxy of {_HAPROXY}" if by_haproxy else settings.host
        raise ValueError(
            f"other machines can reach {address}, and the tasks need no key. Make a key for api_keys with "
            "`unroll key new`, allow everyone with the setting open, or set host to 127.0.0.1 here and in http_options"
        )
    changes: dict[str, object] = {}
    if not is_url(settings.store):
        changes["store"] = str(Path(settings.store).resolve())
    if settings.state_secret is None:
        if settings.session_storage is not None:
            raise ValueError("session_storage needs state_secret: services that share sessions sign them with it")
        changes["state_secret"] = SecretStr(secrets.token_urlsafe())
    return settings.model_copy(update=changes)
