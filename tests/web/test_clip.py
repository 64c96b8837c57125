"""A clip as a flip-book on the page: the label after each frame, in order, backwards and shuffled."""

import io
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Locator, expect

from app.api.pages import WEB_ASSETS
from app.tasks.sources.clip_files import sampled
from tests.web.conftest import Visit
from tests.web.parts import button, cells, job, percent

pytestmark = pytest.mark.browser
CLIP = (WEB_ASSETS / "example-clip.webp").read_bytes()
SHADES = (20, 240, 90, 160, 40, 200)


def png(shade: int) -> bytes:
    """A grey image with a white corner."""
    image = Image.new("RGB", (32, 32), (shade, shade, shade))
    image.paste((255, 255, 255), (0, 0, 8, 8))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def files(shades: tuple[int, ...]) -> list[FilePayload]:
    return [FilePayload(name=f"{at}.png", mimeType="image/png", buffer=png(shade)) for at, shade in enumerate(shades)]


def explained(visit: Visit, images: list[bytes]) -> dict[str, Any]:
    """The result of the API for the images of a clip."""
    fields = [("frames", (f"{at}.png", image)) for at, image in enumerate(images)]
    answer = httpx.post(f"{visit.server}/v1/classify", files=fields, data={"explain": "true"})
    [result] = answer.raise_for_status().json()["results"]
    return dict(result)


def classified(visit: Visit) -> Locator:
    visit.go("/")
    section = job(visit, "Clips")
    expect(section.locator(".film canvas")).to_have_count(6)
    button(section, "Classify").click()
    expect(section.locator(".result .model")).to_have_text("classify-digits-motion/1")
    return section


def shown_rows(result: dict[str, Any]) -> list[list[str]]:
    return [[percent(value) for value in row] for row in result["explanation"]["probabilities"]]


def test_the_label_after_each_frame_of_the_example(visit: Visit) -> None:
    section = classified(visit)
    answer = httpx.post(
        f"{visit.server}/v1/classify?explain=true", content=CLIP, headers={"Content-Type": "image/webp"}, timeout=100
    )
    [result] = answer.raise_for_status().json()["results"]
    assert [row[1:] for row in cells(section)] == shown_rows(result)
    expect(section.locator(".verdict .label")).to_have_text(result["label"])
    explanation = result["explanation"]
    after = [row[explanation["labels"].index(result["label"])] for row in explanation["probabilities"]]
    frames = section.get_by_role("toolbar").get_by_role("button")
    expect(frames).to_have_text([percent(share, 0) for share in after])
    frames.nth(1).focus()
    visit.page.keyboard.press("ArrowRight")
    expect(section.locator(".readout").first).to_have_text(f"after frame 3: {result['label']} {percent(after[2])}")
    expect(section.get_by_role("img", name="Frame 3")).to_be_visible()
    visit.check()


def test_the_clip_plays(visit: Visit) -> None:
    section = classified(visit)
    button(section, "Play").click()
    expect(section.get_by_role("img", name="Frame 6")).to_be_visible()
    expect(section.get_by_role("toolbar").get_by_role("button").last).to_have_attribute("aria-pressed", "true")
    expect(button(section, "Play")).to_be_visible()
    visit.check()


def test_images_in_order_backwards_and_shuffled(visit: Visit) -> None:
    visit.go("/")
    section = job(visit, "Clips")
    expect(section.locator(".film canvas")).to_have_count(6)
    section.get_by_label("Choose images or an animated file").set_input_files(files(SHADES))
    expect(section.locator(".name")).to_have_text("0.png, 1.png, 2.png, 3.png, 4.png, 5.png")
    images = [png(shade) for shade in SHADES]
    assert [row[1:] for row in cells(section)] == shown_rows(explained(visit, images))
    button(section, "Backwards").click()
    expect(section.locator(".name")).to_have_text(re.compile("backwards$"))
    expect(section.locator(".result .model")).to_be_visible()
    backwards = shown_rows(explained(visit, images[::-1]))
    assert backwards != shown_rows(explained(visit, images))
    assert [row[1:] for row in cells(section)] == backwards
    assert shades(section) == list(SHADES[::-1])
    button(section, "Backwards").click()
    expect(section.locator(".name")).not_to_have_text(re.compile("backwards$"))
    button(section, "Shuffle").click()
    expect(section.locator(".name")).to_have_text(re.compile("shuffled$"))
    expect(section.locator(".result .model")).to_be_visible()
    order = shades(section)
    assert sorted(order) == sorted(SHADES)
    assert order != list(SHADES)
    assert [row[1:] for row in cells(section)] == shown_rows(explained(visit, [png(shade) for shade in order]))
    visit.check()


def shades(section: Locator) -> list[int]:
    """The shade of each image of the film."""
    found: list[int] = section.locator(".film").evaluate(
        "film => [...film.children].map((image) => image.getContext('2d').getImageData(20, 20, 1, 1).data[0])"
    )
    return found


def test_a_dropped_gif(visit: Visit) -> None:
    visit.go("/")
    section = job(visit, "Clips")
    expect(section.locator(".film canvas")).to_have_count(6)
    pictures = [Image.open(io.BytesIO(png(shade))).convert("L") for shade in SHADES]
    file = io.BytesIO()
    pictures[0].save(file, "GIF", save_all=True, append_images=pictures[1:], duration=[100, 100, 300, 100, 100, 200])
    visit.page.evaluate(
        """(bytes) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "moving.gif", { type: "image/gif" }));
            const drop = new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: data });
            document.querySelector("#clip .zone").dispatchEvent(drop);
        }""",
        list(file.getvalue()),
    )
    expect(section.locator(".name")).to_have_text("moving.gif")
    expect(section.locator(".result .model")).to_be_visible()
    read = [SHADES[place] for place in sampled([100, 100, 300, 100, 100, 200], 6)]
    assert shades(section) == pytest.approx(read, abs=3)
    visit.check()


def test_the_page_samples_as_the_service_does(visit: Visit) -> None:
    page = visit.beside_modules()
    for durations in ([40.0] * 10, [100.0, 10.0, 10.0, 500.0], [100.0], [30.0, 70.0] * 7):
        for count in (1, 3, 6, 11):
            places = page.evaluate(
                """async ([durations, count]) => {
                    const { sampled } = await import("/assets/web/clipfiles.js");
                    const frames = durations.map((milliseconds, at) => ({ milliseconds, at }));
                    return sampled(frames, count).map(({ at }) => at);
                }""",
                [durations, count],
            )
            assert places == sampled(durations, count)


def test_too_few_images_are_told(visit: Visit) -> None:
    visit.go("/")
    section = job(visit, "Clips")
    expect(section.locator(".film canvas")).to_have_count(6)
    section.get_by_label("Choose images or an animated file").set_input_files(files(SHADES[:3]))
    expect(section.get_by_role("alert")).to_contain_text("An input is too short")
    button(section, "Use the example clip").click()
    expect(section.locator(".result .model")).to_be_visible()


def test_the_memory_of_frames(visit: Visit) -> None:
    section = classified(visit)
    section.get_by_role("switch", name="Show the hidden state and gates").check()
    expect(section.get_by_role("application")).to_be_visible()
    expect(section.get_by_role("heading", name="The memory of LSTM-12")).to_be_visible()
    visit.check()


def test_a_browser_without_a_decoder_of_images(browser: Browser, server: str) -> None:
    visit = Visit.apart(browser, server)
    visit.page.add_init_script("delete window.ImageDecoder")
    visit.go("/")
    section = job(visit, "Clips")
    expect(section.get_by_label("Model")).to_be_visible()
    expect(button(section, "Backwards")).to_be_disabled()
    button(section, "Classify").click()
    expect(section.locator(".result .model")).to_be_visible()
    expect(section.get_by_role("toolbar").get_by_role("button")).to_have_text(
        [re.compile(rf"^{at + 1}\d+%$") for at in range(6)]
    )
    visit.check()
    visit.close()


def test_a_clip_that_cannot_be_decoded_is_told(visit: Visit, tmp_path: Path) -> None:
    visit.go("/")
    section = job(visit, "Clips")
    expect(section.locator(".film canvas")).to_have_count(6)
    file = FilePayload(name="notes.gif", mimeType="image/gif", buffer=b"plain words")
    section.get_by_label("Choose images or an animated file").set_input_files(file)
    expect(section.get_by_role("alert")).to_contain_text("HTTP 4")
    expect(section.locator(".film canvas")).to_have_count(0)
