"""Forecasts: the rows that follow an encoded series, and one unit of further rows for all that are made step by step.

A window that is read anew for each row is encoded as any source: its request goes back to the scheduler.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from app.engine.faults import NOT_FINITE, failed, failed_alone, failed_among_others, in_halves, is_out_of_memory
from app.engine.forecast_rows import ForecastRows, StepState, joined
from app.engine.loaded_model import LoadedModel
from app.engine.protocol import Forecasted, Part, Series, Table, Values, join_tables
from app.engine.request import Output, Request
from app.engine.tables import table
from app.engine.transfers import to_device, to_host
from app.models.encoders import Encoded
from app.models.forecaster import Forecaster

Rows = NDArray[np.float32]  # of one request: steps x targets


def start_forecasts(model: LoadedModel, requests: Sequence[Request], encoded: Encoded) -> list[Output]:
    """The first rows after encoded series: all of them, or those before a running batch makes the others."""
    network = model.network
    assert isinstance(network, Forecaster)
    going: StepState | None = None
    if network.config.is_stepwise and network.config.feedback != "window":
        going = StepState(*network.start(encoded, _last_targets(model, requests)))
        first = going.previous.unsqueeze(1)
        rows = first if network.config.decoder is None else first[:, :0]
    else:
        rows = network.forecast(encoded)
    values, states = to_host((rows.float(), _states(requests, encoded)))
    made = [
        of_request[: request.forecast.horizon].numpy() for request, of_request in zip(requests, values, strict=True)
    ]
    moves = network.config.feedback == "window"
    taken = [
        _taken(request, of_request, states.get(request), moves=moves)
        for request, of_request in zip(requests, made, strict=True)
    ]
    if going is not None:
        _join(model, taken, going)
    for one in taken:  # only now: a batch that failed runs again in halves
        one.keep()
    return [output for one in taken for output in one.outputs]


def _last_targets(model: LoadedModel, requests: Sequence[Request]) -> Tensor:
    """The targets in the last row of each series (batch, targets), or zeros where no step reads them."""
    network, series = model.network, model.manifest.series
    assert isinstance(network, Forecaster)
    assert series is not None  # see `Manifest`
    decoder = network.config.decoder
    if decoder is None or decoder.first_input == "zeros":
        return torch.zeros(len(requests), network.config.targets, device=model.device)
    names = [feature.name for feature in series.features]
    columns = [names.index(target.name) for target in series.targets]
    rows = [
        np.frombuffer(request.source.rows.rows(len(request.source.rows) - 1).numbers, np.float32)[columns]
        for request in requests
        if isinstance(request.source, Series)
    ]
    return to_device(torch.from_numpy(np.stack(rows)), model.device)


def _states(requests: Sequence[Request], encoded: Encoded) -> dict[Request, Tensor]:
    """The outputs of the encoder (steps, memory) of those that want them and do not have them."""
    wanting = [row for row, request in enumerate(requests) if request.forecast.states and request.states is None]
    if not wanting:
        return {}
    lengths = encoded.lengths.tolist()
    return {requests[row]: encoded.memory[row, : lengths[row]] for row in wanting}


def _join(model: LoadedModel, taken: Sequence["_Taken"], going: StepState) -> None:
    """Forecasts with further rows to make join the running batch."""
    staying = [row for row, one in enumerate(taken) if one.remaining]
    if len(staying) < len(taken):
        going = going.at(to_device(torch.tensor(staying, dtype=torch.long), model.device))
    model.forecasts.join([taken[row].request for row in staying], [taken[row].remaining for row in staying], going)


@dataclass(slots=True)
class _Taken:
    """Rows that were made for a request: what its client gets now, and what `keep` changes. Nothing of it fails."""

    request: Request
    outputs: list[Output]
    fresh: Table | None = None
    states: Table | None = None
    remaining: int = 0  # rows that are still to make
    window: Series | None = None  # to be read anew for the next row

    def keep(self) -> None:
        """Add the rows to the request."""
        request = self.request
        request.states = self.states
        if self.fresh is not None:
            request.made.append(self.fresh)
            request.made_rows += len(self.fresh)
        if self.window is not None:
            request.source, request.reads_again = self.window, True


def _taken(request: Request, rows: Rows, states: Tensor | None = None, *, moves: bool = False) -> _Taken:
    """Further rows of a forecast, and the states of its series if they are fresh. If it `moves`, its window is read
    anew for the next row."""
    finite = np.isfinite(rows).all(1)
    if not finite.all():
        return _Taken(request, [failed(request, _not_finite(request.made_rows + int(finite.argmin())))])
    if states is not None and not bool(states.isfinite().all()):
        return _Taken(request, [failed(request, NOT_FINITE)])
    taken = _Taken(request, [], states=request.states if states is None else table(states))
    taken.remaining = request.forecast.horizon - request.made_rows - len(rows)
    if len(rows):
        taken.fresh = Table(rows.shape[1], rows.tobytes())
        if request.forecast.stream:
            taken.outputs.append((request, Values(request.key[1], taken.fresh)))
    if not taken.remaining:
        made = request.made if taken.fresh is None else [*request.made, taken.fresh]
        taken.outputs.append((request, Forecasted(request.key[1], join_tables(made), taken.states)))
    elif moves:
        assert isinstance(request.source, Series)
        assert taken.fresh is not None  # the row that enters the window
        taken.window = Series(join_tables([request.source.rows.rows(1), taken.fresh]))
    return taken


def forecasted(request: Request) -> Forecasted:
    """The last event of a forecast, with the rows that it has, at least one."""
    return Forecasted(request.key[1], join_tables(request.made), request.states)


def _not_finite(rows: int) -> str:
    """The reason for which a forecast ends after a number of rows."""
    if not rows:
        return NOT_FINITE
    return (
        f"{NOT_FINITE} after {rows} steps; set horizon to {rows} or less, or send a series within the range of the "
        "training data"
    )


class _Advanced(NamedTuple):
    """Some rows after a unit: what they made (rows, steps, targets), and the states of those that go on, which are the
    first ones."""

    rows: range
    made: Rows
    going: StepState


def forecast(model: LoadedModel, steps: int) -> list[Output]:
    """Up to `steps` rows for every running forecast: the answers of requests that ended, and the parts of streams. An
    error ends the request that causes it."""
    running, rows, outputs = model.forecasts, model.block, list[Output]()
    requests = list(running.requests)
    try:
        results: list[_Advanced | Output] = []
        with model.number_types():
            for first in range(0, len(requests), rows):
                block = range(first, min(first + rows, len(requests)))
                results += in_halves(
                    block, partial(_advance, model, steps), partial(_fail, running), partial(_count_error, model)
                )
        _store(running, steps, results, outputs)
    except Exception as error:  # after the steps, where no request is the cause
        model.count_error(error)
        ended = {request for request, event in outputs if not isinstance(event, Part)}
        outputs += [failed_among_others(request, error) for request in requests if request not in ended]
        running.advance([], [], None)
    model.count_unit()
    return outputs


@torch.inference_mode()
def _advance(model: LoadedModel, steps: int, rows: Sequence[int]) -> list[_Advanced | Output]:
    """Compute the steps of some rows, which are neighbours, and store nothing. Those that end leave between two
    steps."""
    network, running = model.network, model.forecasts
    assert isinstance(network, Forecaster)
    assert running.states is not None
    mine = range(rows[0], rows[-1] + 1)
    remaining = running.remaining[mine.start : mine.stop]
    steps = min(steps, remaining[0])
    going = running.states.at(slice(mine.start, mine.stop))
    made = []
    for step in range(steps):
        count = sum(left > step for left in remaining)
        going = StepState(*network.step(*going.at(slice(count))))
        made.append(torch.nn.functional.pad(going.previous, (0, 0, 0, len(mine) - count)))
        model.counters.decode_steps += 1
        model.counters.decode_rows += count
    values: Tensor = to_host(torch.stack(made, 1).float())
    return [_Advanced(mine, values.numpy(), going.at(slice(sum(left > steps for left in remaining))))]


def _fail(running: ForecastRows, row: int, error: Exception) -> Output:
    return failed_alone(running.requests[row], error)


def _count_error(model: LoadedModel, error: Exception) -> None:
    """Out of memory halves the rows that run at once from the next unit on."""
    model.count_error(error)
    if is_out_of_memory(error):
        model.shrink_block(len(model.forecasts))


def _store(running: ForecastRows, steps: int, results: Sequence[_Advanced | Output], outputs: list[Output]) -> None:
    """Keep the rows that go on, and answer the requests that ended."""
    parts = [part for part in results if isinstance(part, _Advanced)]
    outputs += [output for output in results if not isinstance(output, _Advanced)]
    requests, remaining = running.requests, running.remaining
    going = [part.rows[: len(part.going.previous)] for part in parts]
    rows = [row for part in going for row in part]
    states = joined([part.going for part in parts]) if rows else None
    running.advance([requests[row] for row in rows], [remaining[row] - steps for row in rows], states)
    failing = []
    for part in parts:
        for row, made in zip(part.rows, part.made, strict=True):
            taken = _taken(requests[row], made[: min(steps, remaining[row])])
            taken.keep()
            outputs += taken.outputs
            if remaining[row] > steps and not taken.remaining:
                failing.append(requests[row])
    running.leave(failing)
