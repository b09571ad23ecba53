"""How many workers a stage has, and what each is given."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.errors import UserError


@dataclass(frozen=True)
class PoolShape:
    """A pool of workers, each an actor with one backend.

    Attributes:
        workers: how many.
        cpus_per_worker, gpus_per_worker: Ray's logical resources each holds; workers with fractions share a device.
            None GPUs: one where the cluster has any.
        resources: custom ones, such as an accelerator type.
        rows_per_task: requests that travel, and are kept, together.
        rows_per_worker: requests at a worker at any time; an LLM engine is full with twice its `max_num_seqs`.
        patience_s: how long to wait for the first worker's place.
    """

    workers: int = 1
    cpus_per_worker: float = 1.0
    gpus_per_worker: float | None = 0.0
    resources: dict[str, float] = field(default_factory=dict)
    rows_per_task: int = 16
    rows_per_worker: int = 512
    patience_s: float = 600.0

    @property
    def tasks_per_worker(self) -> int:
        """Packs at a worker at any time."""
        return max(1, math.ceil(self.rows_per_worker / self.rows_per_task))

    @property
    def window(self) -> int:
        """Rows the driver has out at any time: all that workers hold, and packs on their way."""
        return self.workers * (self.tasks_per_worker + 2) * self.rows_per_task

    def demands(self) -> dict[str, float]:
        """What a worker holds, by Ray's names."""
        wants = {"CPU": self.cpus_per_worker, "GPU": self.gpus_per_worker or 0.0, **self.resources}
        return {name: amount for name, amount in wants.items() if amount}

    def wants(self) -> str:
        """The same in words."""
        return ", ".join(f"{amount:g} {name}" for name, amount in self.demands().items()) or "nothing"

    def places(self, node: Mapping[str, float]) -> int:
        """How many workers a node of these resources has room for."""
        # Ray counts in ten-thousandths, so that three thirds are one.
        fits = [int(node.get(name, 0.0) / amount + 1e-4) for name, amount in self.demands().items()]
        return min(fits, default=self.workers)

    def check(self, where: str) -> None:
        """Raises: UserError naming every number that makes no sense, under `where`."""
        gpus = self.gpus_per_worker
        wrong = [
            UserError(f"is {getattr(self, name)!r}", f"{where}.{name}", fix)
            for name, good, fix in (
                ("workers", self.workers >= 1, "1 or more"),
                ("cpus_per_worker", self.cpus_per_worker >= 0, "0 or more, fractions too"),
                ("gpus_per_worker", gpus is None or 0 <= gpus <= 1 or gpus % 1 == 0, "a fraction, or whole devices"),
                ("resources", all(v > 0 for v in self.resources.values()), "amounts above 0"),
                ("rows_per_task", self.rows_per_task >= 1, "1 or more"),
                ("rows_per_worker", self.rows_per_worker >= self.rows_per_task, "rows_per_task or more"),
                ("patience_s", self.patience_s > 0, "seconds"),
            )
            if not good
        ]
        if wrong:
            raise UserError.of_many(wrong)
