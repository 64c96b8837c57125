"""The options of a cluster, beside the settings of the service."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class ClusterOptions(BaseModel):
    """The arguments of `app.cluster:build`, in `serve.yaml` (`args`) or on the command line of `serve run`."""

    model_config = ConfigDict(extra="forbid")

    settings: dict[str, Any] = Field(
        {}, description="Settings of `unroll serve`, such as `store`. They override UNROLL_ variables."
    )
    min_engines: int = Field(1, ge=1, description="Engines that always run.")
    max_engines: int = Field(4, ge=1, description="Engines that run at most; as many as min_engines: no autoscaling.")
    pending_steps: int = Field(
        4000, ge=1, description="Cell steps that may wait for each engine. Above, engines are added."
    )
    upscale_seconds: float = Field(10.0, ge=0, description="Seconds of more work, before engines are added.")
    downscale_seconds: float = Field(300.0, ge=0, description="Seconds of less work, before engines are removed.")
    look_back_seconds: float = Field(15.0, gt=10, description="Seconds over which pending cell steps are averaged.")
    engine_actor: dict[str, Any] = Field(
        {},
        description="Ray's options for each engine, such as num_gpus, memory or resources. num_cpus is `threads` "
        "otherwise.",
    )
    front_end_actor: dict[str, Any] = Field(
        {}, description="Ray's options for each front end. num_cpus is 1 otherwise."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.max_engines < self.min_engines:
            raise ValueError(f"max_engines must be at least min_engines, {self.min_engines}")
        return self
