"""What of a stage is done and what is to do: its requests held against the checkpoint.

A request is *done* when a record with its key and fingerprint is kept; *stale* when the record's fingerprint differs
(prompt edited, other model, other sampling); an *error* when its record is one and errors are not to be retried.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.backend import BackendSpec
from engine.checkpoint import StageShards
from engine.errors import UserError
from engine.job import Job
from engine.records import Request, digest
from engine.stage import Stage


@dataclass(slots=True)
class Pending:
    """A request to run, with the hashes of its inputs as planned.

    Attributes:
        request: what to send now; differs from the planned one in a retry.
        tries: how often it was answered without a useful record.
        deaths: how often an engine died while it was in flight.
    """

    task: Task
    request: Request
    inputs: dict[str, str]
    fingerprint: str
    tries: int = 0
    deaths: int = 0


@dataclass
class Survey:
    """Counts of a stage's requests; `stale` by the inputs that changed."""

    done: int = 0
    errors: int = 0
    todo: int = 0
    stale: Counter[str] = field(default_factory=Counter)

    def __iadd__(self, other: Survey) -> Survey:
        self.done += other.done
        self.errors += other.errors
        self.todo += other.todo
        self.stale += other.stale
        return self

    def __str__(self) -> str:
        parts = [f"{self.done} done"]
        if self.stale:
            reasons = ", ".join(f"{reason} {n}" if len(self.stale) > 1 else reason for reason, n in self.stale.items())
            parts.append(f"{self.stale.total()} stale ({reasons})")
        if self.errors:
            parts.append(f"{self.errors} errors")
        return ", ".join([*parts, f"{self.todo} to do"])


class Task:
    """One stage of one job while it is run.

    Attributes:
        spec: the stage's backend, None for a stage that only finishes.
    """

    def __init__(self, job: Job, stage: Stage):
        self.job, self.stage = job, stage
        self.spec: BackendSpec | None = stage.backend()
        self.shards: StageShards = job.checkpoint.stage(stage.name)
        self._identity: Mapping[str, Any] | None = None
        self._tried: set[str] = set()  # ended as errors in this run: not taken up again before the next

    def survey(self) -> Survey:
        """Count what is done, stale and to do.

        Raises:
            UserError: something is stale and `checkpoint.on_stale` is `error`.
        """
        survey = Survey()
        for request, _, _, state in self._classified():
            if state == "done":
                survey.done += 1
            elif state == "error":
                survey.errors += 1
            else:
                survey.todo += 1
                if state == "stale":
                    survey.stale[self._why_stale(request)] += 1
        if survey.stale and self.job.config.checkpoint.on_stale.value == "error":
            raise UserError(
                f"{self.stage.name}: {survey}",
                self.job.checkpoint.path,
                "checkpoint.on_stale=rerun runs the stale rows again, keep uses them as they are",
            )
        return survey

    def pending(self) -> Iterator[Pending]:
        """What is to do, lazily, in the stage's order."""
        for request, inputs, fingerprint, state in self._classified():
            if state in ("new", "stale", "retry"):
                yield Pending(self, request, inputs, fingerprint)

    def gave_up(self, key: str) -> None:
        """Note that `key` ended as an error record in this run."""
        self._tried.add(key)

    def _classified(self) -> Iterator[tuple[Request, dict[str, str], str, str]]:
        if self.spec is None:
            return
        config = self.job.config
        keep_stale = config.checkpoint.on_stale.value == "keep"
        for request in self.stage.requests():
            if self._identity is None:  # may read a model's files, so only once there is something to ask
                self._identity = self.spec.identity()
            inputs = request.inputs(self._identity)
            fingerprint = digest(inputs)
            kept = self.shards.fingerprint(request.key)
            if kept is None:
                state = "new"
            elif kept != fingerprint and not keep_stale:
                state = "stale"
            elif self.shards.is_error(request.key):
                state = "retry" if config.retry_errors and request.key not in self._tried else "error"
            else:
                state = "done"
            yield request, inputs, fingerprint, state

    def _why_stale(self, request: Request) -> str:
        record = self.shards.get(request.key)
        then = record.get("inputs", {}) if record else {}
        now = request.inputs(self._identity or {})
        changed = [name for name in sorted({*then, *now}) if then.get(name) != now.get(name)]
        return "+".join(changed)
