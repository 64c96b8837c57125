"""The page in Firefox: each task, streams, many lines, dropped files, languages and reloads; no error in the console.

These are tests of Chromium, run again with the Firefox of the system; those that hold requests back stay with Chromium.
"""

import pytest
from playwright.sync_api import Browser

from tests.web.test_forms import (
    test_a_photo_above_the_limit_is_scaled_down,
    test_a_picture_is_taken_wherever_it_is_dropped,
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
    "test_a_photo_above_the_limit_is_scaled_down",
    "test_a_picture_is_taken_wherever_it_is_dropped",
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
