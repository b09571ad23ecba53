"""Requests of one stage on one backend: issued, answered, kept, and sorted out when an engine dies.

When an engine dies its unfinished requests go to a fresh one, together and apart from all others; if that dies too they
are halved, until a request that kills every engine stands alone and becomes an error record.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from engine.backend import Backend, BackendStats
from engine.commit import Committer
from engine.errors import EngineDied, EngineError, RowError, VoicetrackError
from engine.plan import Pending, Task
from engine.progress import Display
from engine.records import Output, Request, make_record
from engine.staying import Backends
from engine.stop import StopFlag

log = logging.getLogger(__name__)

TIMINGS = "timings"  # shards of what was measured here, one record for each time a stage was run
MAX_DEATHS_WITHOUT_OUTPUT = 12  # more than bisecting one bad request out of a window of 2,048 takes


@dataclass
class Counts:
    """One task's share of a group's work, for its timing record."""

    rows: int = 0
    errors: int = 0
    usage: dict[str, float] = field(default_factory=dict)


class Group:
    """Tasks of one stage that share a backend, from its opening to its closing."""

    def __init__(
        self,
        stage: str,
        tasks: list[Task],
        donors: list[Task],
        committer: Committer,
        display: Display,
        stop: StopFlag,
        backends: Backends,
    ):
        self.stage, self.tasks, self.donors = stage, tasks, donors
        self.committer, self.display, self.stop, self.backends = committer, display, stop, backends
        self.counts = {id(task): Counts() for task in tasks}
        self.flight: dict[str, list[Pending]] = {}  # ticket -> all that wait for its output
        self.tickets: dict[tuple[str, str], str] = {}  # (key, fingerprint) -> ticket in flight
        self.unkept: dict[tuple[str, str], tuple[dict[str, Any], Task]] = {}  # answered, on the way to disk
        self.issued = 0
        self.suspects: deque[list[Pending]] = deque()  # were in flight when an engine died: run apart from the rest
        self.again: list[Pending] = []
        self.barren_deaths = 0

    def run(self) -> None:
        began = time.monotonic()
        fresh = _round_robin([task.pending() for task in self.tasks])
        stats: list[dict[str, Any]] = []
        try:
            while self._one_engine(fresh, stats):
                pass
        except (VoicetrackError, OSError) as e:
            for task in self.tasks:
                task.job.error = task.job.error or e
        finally:
            self._keep_timings(time.monotonic() - began, stats)
            self.display.stage_ends(self.stage)

    def _one_engine(self, fresh: Iterator[Pending], stats: list[dict[str, Any]]) -> bool:
        """Run until nothing is left (False) or the engine has died (True: open another)."""
        spec, cluster = self.tasks[0].spec, self.tasks[0].job.cluster
        backend = self.backends.backend(self.stage, spec, lambda: cluster.backend(spec, self.stage), self._closed)
        self.display.opening(self.stage)
        try:
            with backend:
                self.display.running(self.stage)
                self._pass_on_warnings(backend)
                while (batch := self._next_batch(fresh)) is not None:
                    for outputs in backend.steps(batch):
                        self._take(outputs)
                        self.stop.check()
                    self.stop.check()
                self.committer.flush()
                self.display.closing(self.stage)
        except EngineDied as e:
            self._pass_on_warnings(backend)
            self.stop.check()
            self._bury(e)
            return True
        finally:
            stats.append(backend.stats.to_dict())
        return False

    def _pass_on_warnings(self, backend: Backend) -> None:
        for warning in backend.stats.extra.pop("warnings", ()):
            self.display.warn(f"{self.stage}: {warning}")

    def _next_batch(self, fresh: Iterator[Pending]) -> Iterator[Request] | None:
        """Suspects of a death run alone, then retries, then what is new; None when all is done."""
        if self.suspects:
            return self._issue(self.suspects.popleft())
        if self.again:
            again, self.again = self.again, []
            return self._issue(again)
        first = next(fresh, None)
        return None if first is None else self._issue(_chain(first, fresh))

    def _issue(self, source: Iterable[Pending]) -> Iterator[Request]:
        for pending in source:
            question = (pending.request.key, pending.fingerprint)
            if not pending.tries and not pending.deaths:
                if (ticket := self.tickets.get(question)) is not None:
                    self.flight[ticket].append(pending)
                    continue
                if (record := self._adopted(pending)) is not None:
                    self._keep(pending, record)
                    continue
            self.issued += 1
            ticket = str(self.issued)
            self.flight[ticket] = [pending]
            self.tickets[question] = ticket
            yield replace(pending.request, key=ticket)

    def _adopted(self, pending: Pending) -> dict[str, Any] | None:
        """A record of what another job of the group already has for the same question."""
        key = pending.request.key
        if (found := self._kept_elsewhere(pending)) is None or "error" in found[0]:
            return None
        record, task = found
        output = pending.task.stage.adopt(record["output"], task.job)
        if output is None:
            return None
        return {**make_record(self.stage, key, pending.inputs, output=output, usage=record["usage"]), "shared": True}

    def _kept_elsewhere(self, pending: Pending) -> tuple[dict[str, Any], Task] | None:
        key = pending.request.key
        if len(self.donors) == 1:
            return None
        if (unkept := self.unkept.get((key, pending.fingerprint))) is not None:
            return unkept
        for task in self.donors:
            if task is not pending.task and task.shards.fingerprint(key) == pending.fingerprint:
                if not task.shards.is_error(key):
                    return task.shards.get(key), task
        return None

    def _take(self, outputs: list[Output]) -> None:
        if outputs:
            self.barren_deaths = 0
        for output in outputs:
            waiting = self.flight.pop(output.key)
            first = waiting[0]
            self.tickets.pop((first.request.key, first.fingerprint), None)
            value, error = self._made(first, output)
            if error is not None and (changed := first.task.stage.retry(first.request, error)) is not None:
                for pending in waiting:
                    self.again.append(replace(pending, request=changed, tries=pending.tries + 1))
                continue
            for pending in waiting:
                if pending is not first:  # its stage may have a file of its own to write
                    value, error = self._made(pending, output)
                key, usage = pending.request.key, output.usage
                record = make_record(self.stage, key, pending.inputs, output=value, error=error, usage=usage)
                self._keep(pending, record, fresh=pending is first)

    @staticmethod
    def _made(pending: Pending, output: Output) -> tuple[Any, dict[str, Any] | None]:
        """What the stage makes of an output, or the error it ends in."""
        if output.error is not None:
            return None, output.error
        try:
            return pending.task.stage.output(pending.request, output), None
        except RowError as e:
            return None, e.to_dict()

    def _keep(self, pending: Pending, record: dict[str, Any], fresh: bool = False) -> None:
        task = pending.task
        counts = self.counts[id(task)]
        counts.rows += 1
        if "error" in record:
            counts.errors += 1
            task.gave_up(pending.request.key)
        if fresh:
            for name, amount in record["usage"].items():
                counts.usage[name] = counts.usage.get(name, 0) + amount
        notes = task.stage.note(record)
        usage = record["usage"] if fresh else {}
        question = (pending.request.key, pending.fingerprint)
        if fresh and len(self.donors) > 1:
            self.unkept[question] = record, task

        def kept() -> None:
            self.unkept.pop(question, None)
            self.display.kept(self.stage, usage, notes, "error" in record)

        task.job.checkpoint.append(self.committer, self.stage, record, kept)

    def _bury(self, death: EngineDied) -> None:
        """Sort out who was in flight: once more together, then in halves, at last alone and given up."""
        tickets = [ticket for ticket in death.in_flight if ticket in self.flight] or list(self.flight)
        if not tickets:
            raise EngineError(f"{self.stage}: {death} before it had taken a request") from death
        self.barren_deaths += 1
        if self.barren_deaths > MAX_DEATHS_WITHOUT_OUTPUT:
            raise EngineError(
                f"{self.stage}: {death}; {self.barren_deaths} engines in a row died without an output"
            ) from death
        groups = [self.flight.pop(ticket) for ticket in tickets]
        self.tickets.clear()
        self.flight.clear()
        log.warning("%s: %s; a fresh engine takes its %d unfinished requests", self.stage, death, len(groups))
        unfinished = [replace(p, deaths=p.deaths + 1) for group in groups for p in group]
        if len(groups) == 1 and unfinished[0].deaths > 1:
            error = {"kind": "engine_died", "message": f"the engine died twice on this request: {death}"}
            for p in unfinished:
                self._keep(p, make_record(self.stage, p.request.key, p.inputs, error=error))
        elif unfinished[0].deaths > 1:
            middle = len(unfinished) // 2
            self.suspects.extendleft([unfinished[middle:], unfinished[:middle]])
        else:
            self.suspects.append(unfinished)

    def _closed(self, took: BackendStats, error: VoicetrackError | None) -> None:
        """The backend had stayed open after this group's work and is closed now: a timing record of its own."""
        self.counts = {id(task): Counts() for task in self.tasks}
        self._keep_timings(took.close_s, [took.to_dict()])
        for task in self.tasks:
            task.job.error = task.job.error or error

    def _keep_timings(self, seconds: float, stats: list[dict[str, Any]]) -> None:
        """Write what was measured into each job's own `timings` shards; the group's time is given to each in full."""
        loads = {name: sum(s[name] for s in stats) for name in ("load_s", "close_s")}
        for task in self.tasks:
            counts = self.counts[id(task)]
            if task.job.error and not counts.rows:
                continue
            work = max(seconds - loads["load_s"] - loads["close_s"], 1e-6)
            figures = {
                "stage": self.stage,
                "seconds": round(seconds, 3),
                "rows": counts.rows,
                "errors": counts.errors,
                **counts.usage,
                "work_s": round(work, 3),
                "engine_load_s": round(loads["load_s"], 3),
                "engine_close_s": round(loads["close_s"], 3),
                "memory_footprint_mib": round(max((s["footprint_mib"] for s in stats), default=0), 1),
                "memory_returned_mib": round(max((s["returned_mib"] for s in stats), default=0), 1),
                "engines": sum(s["opened"] for s in stats),
                "shared_by": len(self.tasks),
                **(stats[-1]["extra"] if stats else {}),
            }
            key = f"{self.stage}@{time.time_ns()}"
            record = make_record(TIMINGS, key, {"stage": self.stage}, output=figures)
            try:
                task.job.checkpoint.append(self.committer, TIMINGS, record, lambda: None)
            except VoicetrackError as e:  # the disk failed: the rows' own error is already on its way
                task.job.error = task.job.error or e


def _chain(first: Pending, rest: Iterator[Pending]) -> Iterator[Pending]:
    yield first
    # Not `yield from`: closing this one, when an engine has died, must not close `rest`.
    for pending in rest:  # noqa: UP028
        yield pending


def _round_robin(sources: list[Iterator[Pending]]) -> Iterator[Pending]:
    """One of each in turn: jobs of a sweep plan in the same order, so shared prompt prefixes arrive together."""
    turn = deque(sources)
    while turn:
        source = turn.popleft()
        if (pending := next(source, None)) is not None:
            yield pending
            turn.append(source)
