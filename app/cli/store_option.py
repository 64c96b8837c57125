"""The option `--store` of commands that read a model store."""

from pathlib import Path
from typing import Any

import click

HOW_TO_GET_MODELS = (
    "copy the included models with `unroll pull`, import one with `unroll import`, or name another folder with --store"
)


class _Store(click.Path):
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not Path(value).exists():
            self.fail(f"there is no model store {value}; {HOW_TO_GET_MODELS}", param, ctx)
        return super().convert(value, param, ctx)


store_option = click.option(
    "--store",
    type=_Store(path_type=Path, file_okay=False),
    default=Path("model_store"),
    show_default=True,
    help="Folder of the model store.",
)
