"""The details of decoded tokens: attention weights, and alternatives with their log-probabilities."""

from collections.abc import Sequence

from app.engine.protocol import Decode
from app.errors import InputTooLong
from app.tasks.answers.sentence import decoding_options_of
from app.tasks.job import Job

MAX_DETAILS = 1_000_000  # numbers in the answer to a request
MAX_UNSHOWN = 30_000_000  # numbers of attention that a request's words in place of unknown ones need
_ALTERNATIVE = 3  # an alternative counts as three numbers: its id, text and log-probability


def check_details(jobs: Sequence[Job]) -> None:
    """Raises InputTooLong if the answers of a request, each of `max_tokens`, have too many details."""
    numbers = sum(_most_numbers(job) for job in jobs)
    if numbers > MAX_DETAILS:
        raise InputTooLong(
            f"the attention and log-probabilities of the request may have {numbers} numbers; the limit is "
            f"{MAX_DETAILS}: send fewer or shorter inputs, or set max_tokens, n_best or logprobs to a smaller number",
            limit=MAX_DETAILS,
        )
    unshown = sum(_unshown_numbers(job) for job in jobs)
    if unshown > MAX_UNSHOWN:
        raise InputTooLong(
            f"the model finds words for unknown ones by attention, of which the request may have {unshown} numbers; "
            f"the limit is {MAX_UNSHOWN}: send fewer or shorter inputs, or set max_tokens or n_best lower",
            limit=MAX_UNSHOWN,
        )


def _unshown_numbers(job: Job) -> int:
    """The attention of each sentence over its own tokens, which stays in the service."""
    request = job.request
    assert isinstance(request, Decode)
    if not request.attention or decoding_options_of(job).attention:
        return 0
    return request.n_best * request.max_tokens * job.tokens


def _most_numbers(job: Job) -> int:
    """The numbers of an answer. Attention is over all sentences of an input; what the model needs of it for the words
    in place of unknown ones is not shown, and does not count."""
    request = job.request
    assert isinstance(request, Decode)
    encoder = job.entry.manifest.architecture.encoder
    positions = encoder.memory_length if encoder.kind == "image" else job.tokens
    of_token = (positions if decoding_options_of(job).attention else 0) + _ALTERNATIVE * request.alternatives
    return request.n_best * len(job.parts) * request.max_tokens * of_token
