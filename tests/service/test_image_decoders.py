"""Image files that take long, sent to a real service: others are served, and the service ends in time."""

import signal
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest
from PIL import Image

from tests.conftest import PATIENCE
from tests.service.serving import Served, serving, until
from tests.tasks.hostile_images import saved, slow_jpeg

SMALL = saved(Image.effect_noise((400, 300), 50).convert("RGB"), "JPEG")


def caption(served: Served, content: bytes) -> httpx.Response:
    return httpx.post(f"{served.address}/v1/caption", content=content, headers={"content-type": "image/jpeg"})


def decoders(served: Served) -> Sequence[psutil.Process]:
    return served.children("app.tasks.sources.image_decoder")


def is_busy(decoder: psutil.Process) -> bool:
    """Whether it works on an image: it needs some 0.3 s of processor time to start."""
    return decoder.cpu_times().user > 1


@pytest.mark.slow
def test_captions_go_on_beside_files_that_take_too_long(tiny_store: Path) -> None:
    with serving(tiny_store, "--engines", "1", "--image-seconds", "0.5") as served, ThreadPoolExecutor(4) as pool:
        before = decoders(served)
        assert len(before) == 2
        slow = [pool.submit(caption, served, slow_jpeg()) for _ in range(4)]
        time.sleep(0.2)
        assert caption(served, SMALL).status_code == 200
        for answer in slow:
            problem = answer.result().json()
            assert (problem["status"], problem["type"]) == (422, "/problems/invalid-image")
            assert "takes longer than 0.5 s" in problem["detail"]
        after = decoders(served)
        assert len(after) == 2
        assert not set(after) & set(before)


def test_the_service_ends_in_time_while_it_decodes(tiny_store: Path) -> None:
    with serving(tiny_store, "--engines", "1", "--image-seconds", "60", "--drain-seconds", "1") as served:
        children = psutil.Process(served.process.pid).children(recursive=True)
        threads = [threading.Thread(target=_until_refused, args=(served,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        until(lambda: any(map(is_busy, decoders(served))))
        served.process.send_signal(signal.SIGTERM)
        _, alive = psutil.wait_procs(decoders(served), timeout=50)
        assert not alive
        assert served.process.wait(PATIENCE) == 0
        for thread in threads:
            thread.join()
        assert not any(child.is_running() for child in children)


@pytest.mark.slow  # several services are started
def test_decoders_end_with_a_service_that_is_killed(tiny_store: Path) -> None:
    with serving(tiny_store, "--engines", "1", "--image-seconds", "60") as served:
        children = decoders(served)
        thread = threading.Thread(target=_until_refused, args=(served,))
        thread.start()
        until(lambda: any(map(is_busy, children)))
        served.process.kill()
        _, alive = psutil.wait_procs(children, timeout=50)
        assert not alive
        thread.join()


def _until_refused(served: Served) -> None:
    with suppress(httpx.TransportError):
        caption(served, slow_jpeg())
