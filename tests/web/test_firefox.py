"""The page in Firefox: tasks with their memory, streams, stops, links, many lines, dropped files, languages, reloads.

These are tests of Chromium, run again with the Firefox of the system; those that hold requests back or read the
clipboard stay with Chromium.
"""

import pytest
from playwright.sync_api import Browser

from tests.web.conftest import Visit
from tests.web.test_accessible import answer_all
from tests.web.test_forms import (
    test_a_link_to_a_layer_that_a_compared_network_lacks_shows_its_usual_one,
    test_a_photo_above_the_limit_is_scaled_down,
    test_a_picture_is_taken_wherever_it_is_dropped,
    test_a_stream_that_has_begun_is_stopped,
    test_a_text_file_on_a_textarea_or_beside_it_is_its_text,
    test_many_lines_are_sent_in_parts_and_their_plots_are_folded,
    test_text_and_options_survive_a_reload,
    test_tokens_are_large_enough_to_touch,
    test_what_a_score_means_is_shown_when_it_has_the_focus,
)
from tests.web.test_page import (
    test_caption_of_a_chosen_file,
    test_caption_of_the_example,
    test_everything_that_is_operated_or_seen_has_a_name,
    test_language_is_switched_and_kept,
    test_sentiment_of_the_prefilled_texts,
    test_the_keyboard_reaches_the_sections_and_shows_where_it_is,
    test_translate,
)

__all__ = [
    "test_a_link_to_a_layer_that_a_compared_network_lacks_shows_its_usual_one",
    "test_a_photo_above_the_limit_is_scaled_down",
    "test_a_picture_is_taken_wherever_it_is_dropped",
    "test_a_stream_that_has_begun_is_stopped",
    "test_a_text_file_on_a_textarea_or_beside_it_is_its_text",
    "test_caption_of_a_chosen_file",
    "test_caption_of_the_example",
    "test_everything_that_is_operated_or_seen_has_a_name",
    "test_language_is_switched_and_kept",
    "test_many_lines_are_sent_in_parts_and_their_plots_are_folded",
    "test_sentiment_of_the_prefilled_texts",
    "test_text_and_options_survive_a_reload",
    "test_the_keyboard_reaches_the_sections_and_shows_where_it_is",
    "test_tokens_are_large_enough_to_touch",
    "test_translate",
    "test_what_a_score_means_is_shown_when_it_has_the_focus",
]
pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def browser(firefox: Browser) -> Browser:
    """Takes the place of Chromium."""
    return firefox


def test_every_task_answers_with_its_memory(browser: Browser, server: str) -> None:
    visit = Visit.apart(browser, server)
    page = visit.go("/")
    answer_all(page)
    shown = page.locator("section[id]").filter(has=page.locator(".memory")).filter(visible=True)
    assert {"sentiment", "compare", "caption", "translate", "complete", "clip"} <= {
        section.get_attribute("id") for section in shown.all()
    }
    visit.check()
    visit.close()
