"""The native routes, such as `POST /v1/sentiment`: one for each task, made from its source and answer kinds."""

from collections.abc import Iterable
from contextlib import AsyncExitStack

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.api.blocks import BlocksResponse
from app.api.openapi.deferred import Deferred
from app.api.pieces.answers import PieceAnswers
from app.api.pieces.described import described_pieces
from app.api.pieces.opening import READ_PIECES
from app.api.problems import COMMON_ERRORS, STATE_ERRORS, problems
from app.api.routes import Endpoint, Route
from app.api.service import service_of
from app.api.sessions.turn import AskedSession
from app.api.tasks.bodies import body_of
from app.api.tasks.streams import described_answer, stream_events
from app.errors import ContradictoryOptions, UnrollError
from app.tasks.options import TaskOptions
from app.tasks.states.options import CarryOptions, StartOptions
from app.tasks.task import Task


def native_routes(tasks: Iterable[Task]) -> tuple[list[Route], APIRouter]:
    """The routes of tasks, and a router that describes them in the OpenAPI document."""
    routes, router = [], APIRouter(tags=["Tasks"])
    for task in tasks:
        body = body_of(task)
        endpoint = _endpoint(task)
        router.add_api_route(
            task.face.path,
            endpoint,
            methods=["POST"],
            operation_id=task.verb,
            summary=task.face.summary,
            description=task.face.description,
            response_model=task.answer.form,
            responses={200: described_answer(task), **problems(*_errors(task))},
            openapi_extra=Deferred(body.described),
        )
        routes.append(Route(task.face.path, endpoint, task.source))
        if _takes_pieces(task):
            routes.append(_pieces_route(task, router))
    return routes, router


def _takes_pieces(task: Task) -> bool:
    """Whether it also answers a source that comes in pieces."""
    return issubclass(task.options, CarryOptions) and task.answer.kind in ("label", "tags", "values")


def _pieces_route(task: Task, router: APIRouter) -> Route:
    path = task.face.path + READ_PIECES.path
    body = body_of(task)

    async def endpoint(request: Request) -> Response:
        return PieceAnswers(task, body, request, service_of(request))

    router.add_api_route(
        path, endpoint, methods=["POST"], response_class=Response, **described_pieces(task, body, _errors(task))
    )
    return Route(path, endpoint, task.source, takes_pieces=True)


def _errors(task: Task) -> list[type[UnrollError]]:
    """The errors of a task's requests, beside those of every operation."""
    of_states = STATE_ERRORS if issubclass(task.options, StartOptions) else ()
    return [*COMMON_ERRORS, *body_of(task).errors, ContradictoryOptions, *of_states]


def _session_of(options: TaskOptions, task: Task) -> AskedSession | None:
    if not isinstance(options, StartOptions) or options.session is None:
        return None
    returns = task.answer.keeps_states or (isinstance(options, CarryOptions) and options.return_state)
    return AskedSession(options.session, options.session_start, options.session_end, options.state, returns)


def _endpoint(task: Task) -> Endpoint:
    body = body_of(task)

    async def endpoint(request: Request) -> Response:
        service = service_of(request)
        inputs, options = await body.read(request, service)
        terms = service.accept(request, options, inputs=len(inputs))
        async with AsyncExitStack() as session:
            async with service.until_disconnect(request, terms):
                asked = _session_of(options, task)
                turn = await session.enter_async_context(service.turn(request, asked, terms, inputs=len(inputs)))
                jobs = await service.prepare(request, task, inputs, options, options, terms, turn)
                if not task.answer.streams(options):
                    outputs = await service.answer(request, jobs, terms, turn)
                    return BlocksResponse(await task.answer.form.of(jobs, outputs).encoded())
            events = stream_events(task, service.stream(request, jobs, terms, turn), jobs)
            return service.event_stream(events, terms, until_end=session.pop_all())

    return endpoint
