"""What the connections of a front end share."""

from dataclasses import dataclass

from app.api.head_check import HeadCheck
from app.api.refusal_report import RefusalReport
from app.server.bodies import Bodies
from app.server.limits import ConnectionLimits
from app.server.responses import Responses
from app.turns import Turns


@dataclass(frozen=True)
class ServerParts:
    """`turns`: starts of requests. `parsing`: of the rest of bytes that came together. `check` refuses requests to
    tasks by their head. `with_cors`: a request with an `Origin` is left to the application, which adds headers."""

    limits: ConnectionLimits
    bodies: Bodies
    turns: Turns
    parsing: Turns
    responses: Responses
    check: HeadCheck
    report: RefusalReport
    with_cors: bool
