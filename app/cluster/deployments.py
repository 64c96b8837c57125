"""The deployments of Ray Serve: coordinator, engines and front ends. The only file that needs the extra `ray`.

A request takes this way: Ray's proxy, a front end (an ASGI application in a replica), ZeroMQ, an engine's process, and
back. Between front end and engine Ray carries nothing.
"""

import socket
from typing import Any

import ray
from fastapi import FastAPI
from ray import serve
from ray.serve import Application
from ray.serve.handle import DeploymentHandle

from app.cluster.coordinator import Coordinator
from app.cluster.engine import EngineMember
from app.cluster.front_end import FrontEndMember
from app.cluster.keys import EngineKeys, keys_of
from app.cluster.membership import Coordinate
from app.cluster.options import ClusterOptions
from app.cluster.scaling import PENDING_STEPS
from app.cluster.service_settings import settings_of
from app.logs import set_up_logging
from app.main import create_app
from app.settings import Settings

_MARGIN_SECONDS = 10.0  # for the rest of a replica's end, after it drained
_UNHEALTHY_SECONDS = 60.0  # without its engine, after which a replica is replaced
_CALLS = 10_000  # at the same time: those of the coordinator wait for news


def application(options: ClusterOptions) -> Application:
    """The application of a cluster. Raises ValueError."""
    settings = settings_of(options)
    keys = keys_of(settings)
    ends = {"graceful_shutdown_timeout_s": settings.drain_seconds + _MARGIN_SECONDS, "graceful_shutdown_wait_loop_s": 1}
    logs = {"logging_config": {"enable_access_log": False}}  # front ends write the lines of requests
    coordinator = serve.deployment(
        Coordinator,
        name="Coordinator",
        num_replicas=1,
        max_ongoing_requests=_CALLS,
        ray_actor_options={"num_cpus": 0},
        health_check_period_s=2,
        health_check_timeout_s=20,
        **logs,
    ).bind()
    engines = serve.deployment(
        Engine,
        name="Engine",
        autoscaling_config={
            "min_replicas": options.min_engines,
            "max_replicas": options.max_engines,
            "look_back_period_s": options.look_back_seconds,
            "upscale_delay_s": options.upscale_seconds,
            "downscale_delay_s": options.downscale_seconds,
            "policy": {
                "policy_function": "app.cluster.scaling:PendingSteps",
                "policy_kwargs": {"target": options.pending_steps},
            },
        },
        ray_actor_options={"num_cpus": settings.threads} | options.engine_actor,
        health_check_period_s=5,
        **ends,
        **logs,
    ).bind(settings, keys, coordinator)
    return serve.deployment(
        serve.ingress()(FrontEnd),
        name="FrontEnd",
        num_replicas=settings.workers,
        # refusing is Unroll's, by its own limits: Ray holds nothing back
        max_ongoing_requests=2 * settings.share(settings.max_pending) + settings.share(settings.max_streams),
        ray_actor_options={"num_cpus": 1} | options.front_end_actor,
        health_check_period_s=5,
        **ends,
        **logs,
    ).bind(settings, keys.public, coordinator, engines)


class FrontEnd:
    """A replica with a front end, as an ASGI application. It needs the deployment of the engines, not its handle."""

    def __init__(
        self, settings: Settings, engine_key: bytes, coordinator: DeploymentHandle, engines: DeploymentHandle
    ) -> None:
        self._settings = settings
        self._member = FrontEndMember(settings, _calls_to(coordinator), engine_key)

    def __serve_build_asgi_app__(self) -> FastAPI:
        _set_up_logging(self._settings)
        return create_app(self._settings, cluster=self._member)


class Engine:
    """A replica with one engine process: on the GPU that Ray gave it, or else on the CPU."""

    async def __init__(  # type: ignore[misc]  # Ray awaits it
        self, settings: Settings, keys: EngineKeys, coordinator: DeploymentHandle
    ) -> None:
        _set_up_logging(settings)
        address = ray.util.get_node_ip_address()
        self._member = EngineMember(
            settings,
            _calls_to(coordinator),
            keys,
            device="cuda:0" if ray.get_gpu_ids() else "cpu",
            endpoint=f"tcp://{address}:{_free_port(address)}",
        )
        await self._member.start()

    def record_autoscaling_stats(self) -> dict[str, float]:
        """The figure that `app.cluster.scaling` decides by."""
        return {PENDING_STEPS: self._member.pending_steps}

    def check_health(self) -> None:
        """Its own supervisor restarts the engine's process. Raises RuntimeError if that does not help."""
        if (silent := self._member.silent_seconds()) > _UNHEALTHY_SECONDS:
            raise RuntimeError(f"the engine has not been ready for {silent:.0f} s")

    async def __del__(self) -> None:
        """Ray Serve awaits it before it ends a replica."""
        await self._member.stop()


def _calls_to(coordinator: DeploymentHandle) -> Coordinate:
    async def call(method: str, *arguments: Any) -> Any:
        return await getattr(coordinator, method).remote(*arguments)

    return call


def _free_port(address: str) -> int:
    """A port that is free now. If another process takes it first, the engine is never ready, and Ray Serve replaces its
    replica."""
    with socket.create_server((address, 0)) as listener:
        return int(listener.getsockname()[1])


def _set_up_logging(settings: Settings) -> None:
    set_up_logging(settings.log_level, settings.log_format)
