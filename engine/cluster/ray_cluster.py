"""A Ray cluster: one started for the run on this machine, or one that is there already (`ray up`, Kubernetes)."""

from __future__ import annotations

import difflib
import os
import signal
import threading
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from engine.backend import BackendSpec
from engine.cluster.shape import PoolShape
from engine.errors import EngineError, UserError

if TYPE_CHECKING:
    from engine.cluster.ray_backend import RayBackend

SMALL_STORE = 256 * 2**20  # bytes of object store of a Ray of our own: rows travel in messages, hardly through it


class RayCluster:
    """Workers by the `cluster` config; connects to Ray when the first backend is asked for.

    Args:
        config: `address`, `init` (of `ray.init`), the fields of `PoolShape`, `per_stage` (any of these by stage).

    Raises:
        UserError: numbers that make no sense, an unknown key of a stage.
    """

    def __init__(self, config: Any):
        plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True)
        self.address, self._init = plain["address"], plain["init"]
        if (self.address or "").startswith("ray://"):
            raise UserError(
                "Ray Client cannot run Ray Data",
                f"cluster.address={self.address}",
                "run on the cluster with `ray job submit` (docs/scaling.md), there with cluster.address=auto",
            )
        names = [f.name for f in fields(PoolShape)]
        self.shape = PoolShape(**{name: plain[name] for name in names})
        self.shape.check("cluster")
        self._per_stage: dict[str, PoolShape] = {}
        for stage, own in plain["per_stage"].items():
            where = f"cluster.per_stage.{stage}"
            for name in own if isinstance(own, Mapping) else [own]:
                if name not in names:
                    near = difflib.get_close_matches(str(name), names, 1)
                    raise UserError(
                        "no such key", f"{where}.{name}", f"did you mean '{near[0]}'?" if near else ", ".join(names)
                    )
            self._per_stage[stage] = replace(self.shape, **own)
            self._per_stage[stage].check(where)

    def backend(self, spec: BackendSpec, stage: str) -> RayBackend:
        """The spec's backend on the workers that `stage` is given, not yet entered.

        Raises:
            UserError: Ray is missing or does not answer, or a worker cannot be placed.
            EngineError: a Ray of our own did not start.
        """
        self._connect()
        from engine.cluster.ray_backend import RayBackend

        shape = self._per_stage.get(stage, self.shape)
        if shape.gpus_per_worker is None:
            import ray

            shape = replace(shape, gpus_per_worker=1.0 if ray.cluster_resources().get("GPU") else 0.0)
        if (portable := getattr(spec, "portable", None)) is not None:
            spec = portable()
        _check_parallel(spec, shape)
        backend = RayBackend(spec, shape, stage)
        if warning := self._check_places(shape):
            backend.stats.extra["warnings"] = [warning]
        return backend

    def _connect(self) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        # Ray would start each worker through `uv run` where the driver was: slow, and not with the driver's extras.
        # Ray reads this when it is imported.
        os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
        try:
            import ray
        except ImportError as e:
            raise UserError(f"Ray cannot be imported ({e})", "cluster=ray", "install with --extra ray") from e
        if ray.is_initialized():
            return
        address = self.address or os.environ.get("RAY_ADDRESS") or "local"
        options: dict[str, Any] = {"logging_level": "warning"}
        if address == "local":
            options |= {"include_dashboard": False, "object_store_memory": SMALL_STORE}
        kept = _handlers()
        try:
            ray.init(address, **options | self._init)
        except (ConnectionError, ValueError, RuntimeError) as e:
            said = " ".join(str(e).split())[:300]
            if address == "local":
                raise EngineError(f"Ray did not start: {said}") from e
            raise UserError(
                f"no Ray answers: {said}", f"cluster.address={address}", "leave it out to have one started here"
            ) from e
        finally:
            for signum, handler in kept.items():  # Ray takes SIGTERM for itself
                signal.signal(signum, handler)

    def _check_places(self, shape: PoolShape) -> str | None:
        """What is wrong with the places for workers where that may change by itself (an autoscaler, a node to come).

        Raises:
            UserError: it will not change: this is a Ray of our own.
        """
        import ray

        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        places = sum(shape.places(resources) for resources in nodes)
        if places >= shape.workers:
            return None
        problem = f"places for {places} of {shape.workers} workers of {shape.wants()} each"
        if self.address or os.environ.get("RAY_ADDRESS"):
            return f"the cluster has {problem}; going on as they come"
        raise UserError(
            f"this machine has {problem}", f"cluster.workers={shape.workers}", "lower it, or what each is given"
        )


def _handlers() -> dict[int, Any]:
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}


def _check_parallel(spec: BackendSpec, shape: PoolShape) -> None:
    """A worker's engine must find the devices its own arguments ask for.

    Raises:
        UserError: it would not.
    """
    arguments = getattr(spec, "engine", None)
    if not isinstance(arguments, Mapping) or not shape.gpus_per_worker:
        return
    names = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size")
    wanted = 1
    for name in names:
        wanted *= int(arguments.get(name) or 1)
    if wanted > shape.gpus_per_worker and wanted > 1:
        asked = ", ".join(f"{name}={arguments[name]}" for name in names if arguments.get(name))
        raise UserError(
            f"an engine with {asked} takes {wanted} GPUs",
            f"cluster.gpus_per_worker={shape.gpus_per_worker:g}",
            f"set cluster.gpus_per_worker={wanted}, or for one stage cluster.per_stage.STAGE.gpus_per_worker={wanted}",
        )
