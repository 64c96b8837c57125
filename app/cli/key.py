"""`unroll key`."""

import click

from app.api.access.roles import Role


@click.group()
def key() -> None:
    """Make keys for callers of the service."""


@key.command(name="new")
@click.option("--name", required=True, help="Name of the caller; no answer shows it.")
@click.option(
    "--role", type=click.Choice([*map(str, Role)]), default="user", show_default=True, help="What the key allows."
)
@click.option("--rate-limit", help="Rate of requests to the tasks, such as 10/second; replaces the setting.")
@click.option("--concurrent-inputs", type=int, help="Limit of concurrent inputs; replaces the setting.")
@click.option("--json", "as_json", is_flag=True, help="Print the entry as JSON instead of TOML.")
def new_key(name: str, role: str, rate_limit: str | None, concurrent_inputs: int | None, as_json: bool) -> None:
    """Make a key.

    The key is printed once, to standard error. Its entry with the hash is printed to standard output:

    unroll key new --name alice >> keys.toml
    """
    import json

    from pydantic import ValidationError

    from app.api.access.keys import Key, hash_of, new_token

    token = new_token()
    limits = {"rate_limit": rate_limit, "concurrent_inputs": concurrent_inputs}
    try:
        entry = Key.model_validate({"name": name, "hash": hash_of(token.encode()), "role": role, **limits})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        member = str(first["loc"][0])
        message = "1 to 64 letters, digits and any of _ . @ -" if member == "name" else first["msg"]
        raise click.BadParameter(message, param_hint=f"--{member.replace('_', '-')}") from None
    click.echo(f"The key of {name}, printed only once: {token}", err=True)
    members = entry.model_dump(mode="json", exclude_none=True)
    if as_json:
        click.echo(json.dumps(members, ensure_ascii=False))
    else:  # TOML writes a name, a hash, a role and a rate as JSON does
        lines = [f"{member} = {json.dumps(value, ensure_ascii=False)}" for member, value in members.items()]
        click.echo("\n".join(["[[keys]]", *lines, ""]))
