"""A front end that could not read the files of a version, because of the machine, serves it as soon as it can."""

import asyncio
import time
from contextlib import closing
from pathlib import Path

from app.desired_state import DesiredState, DesiredStateFile, create_desired_state
from app.engine.client import EngineClient
from app.rollout import Rollout
from app.store.stores import FolderStore
from app.tasks.catalog import Catalog
from app.tasks.registry import CHECKS
from tests.store.test_regular_files import no_descriptor_free

KEY = "sentiment-en/1"


def test_a_version_is_served_once_its_files_can_be_read(tiny_store: Path, tmp_path: Path) -> None:
    desired = DesiredState({KEY: str(tiny_store / KEY)})
    create_desired_state(tmp_path, desired)
    catalog = Catalog(CHECKS)

    async def scenario(file: DesiredStateFile) -> None:
        async with EngineClient([]) as client:
            rollout = Rollout(catalog, client, FolderStore(tiny_store), file)
            with no_descriptor_free():
                await rollout._apply(desired)
            assert "cannot be read: Too many open files" in catalog.broken(client.view)[KEY]
            following = asyncio.create_task(rollout.follow())
            end = time.monotonic() + 100
            while not catalog.keys:
                assert time.monotonic() < end, "it is not served"
                await asyncio.sleep(0.01)
            assert catalog.broken(client.view) == {}
            following.cancel()

    with closing(DesiredStateFile(tmp_path)) as file:
        asyncio.run(scenario(file))
