"""The settings of a service in a cluster: the same on all machines, whatever their environment says."""

import secrets
from pathlib import Path

from pydantic import SecretStr

from app.cluster.options import ClusterOptions
from app.settings import Settings, is_local
from app.store.names import is_url


def settings_of(options: ClusterOptions) -> Settings:
    """The settings in the options, or else in the environment of this process. States are signed with a secret that is
    drawn here if there is none. Raises ValueError."""
    unknown = options.settings.keys() - Settings.model_fields
    if unknown:
        raise ValueError(f"no such settings: {', '.join(sorted(unknown))}; docs/settings.md lists them")
    settings = Settings(**options.settings)
    if not (settings.needs_keys or is_local(settings.host) or settings.open):
        raise ValueError(
            f"other machines can reach {settings.host}, and the tasks need no key. Make a key for api_keys with "
            "`unroll key new`, or allow everyone with the setting open"
        )
    changes: dict[str, object] = {}
    if not is_url(settings.store):
        changes["store"] = str(Path(settings.store).resolve())
    if settings.state_secret is None and settings.session_storage is None:
        changes["state_secret"] = SecretStr(secrets.token_urlsafe())
    return settings.model_copy(update=changes)
