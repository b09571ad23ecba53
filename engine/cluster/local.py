"""Backends in this process."""

from __future__ import annotations

from typing import Any

from engine.backend import Backend, BackendSpec
from engine.errors import UserError
from engine.finish import Finishing


class Local:
    """This machine, one engine at a time.

    Args:
        config: the `cluster` config.

    Raises:
        UserError: more than one worker is asked for.
    """

    def __init__(self, config: Any):
        if config.workers != 1:
            raise UserError(
                "one process runs one engine at a time",
                f"cluster.workers={config.workers}",
                "several GPUs, on this machine too: cluster=ray with cluster.workers and cluster.gpus_per_worker; "
                "one model over several GPUs: writer.engine.tensor_parallel_size",
            )

    def backend(self, spec: BackendSpec, stage: str) -> Backend:
        """The spec's backend, not yet entered; `stage` makes no difference here."""
        return Finishing(spec.open())
