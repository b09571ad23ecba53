"""A backend that is many: the requests of a stage through Ray Data, on an actor pool of the backends that run locally.

One Ray Data execution lasts from opening to closing, its source fed as the driver plans (`engine.cluster.hub`), so that
engines are loaded once however often `steps` is called. Ray schedules, starts actors anew and runs their tasks again;
here rows are packed, answered for exactly once, and packs that engines die of are made smaller.
"""

from __future__ import annotations

import gc
import logging
import queue
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any, Self

from engine.backend import BackendSpec, BackendStats
from engine.cluster.hub import Hub, Source
from engine.cluster.packs import Pack, packed, things
from engine.cluster.shape import PoolShape
from engine.cluster.worker import Worker
from engine.errors import EngineDied, EngineError
from engine.failures import first_line
from engine.records import Output, Request

log = logging.getLogger(__name__)

CLOSING_S = 120.0  # for workers to close their engines
# Rows in flight are a hundred thousand objects, none of them in a cycle; looking for cycles as often as Python does
# takes a third of the driver's time.
RARELY = (200_000, 50, 100)
SILENCE_S = 5.0  # after which it is asked who is still there
BARREN = 24  # packs that engines died of in a row, without any output, beside those a pool holds


class RayBackend:
    """A backend by the contract of `engine.backend`, whose workers are Ray actors.

    Args:
        spec: of the workers' backends; picklable.
        shape: of the pool.
        stage: what Ray's logs call it.

    Raises (on entering):
        VoicetrackError: what the first worker's backend did not open for.
        EngineError: no worker found a place.
    """

    def __init__(self, spec: BackendSpec, shape: PoolShape, stage: str = "stage"):
        self.spec, self.shape, self.stage = spec, shape, stage
        self.stats = BackendStats()
        self._events: queue.Queue[tuple[Any, ...]] = queue.Queue()
        self._hub: Any = None
        self._executor: Any = None
        self._packs: dict[int, Pack] = {}  # sent, not answered for
        self._done: list[int] = []  # the hub need not keep these
        self._count = 0
        self._flight: set[str] = set()
        self._workers: dict[str, Any] = {}  # handles by name
        self._open: set[str] = set()
        self._opened: list[BackendStats] = []
        self._closed: list[BackendStats] = []
        self._most = self._restarts = 0  # workers at a time, workers that took another's place
        self._barren = 0
        self._running = False
        self._error: BaseException | None = None
        self._gc = gc.get_threshold()

    def __enter__(self) -> Self:
        began = time.monotonic()
        self._start()
        started = False
        while not self._opened:
            for event in self._next_events():
                started |= event[0] == "started"
                self._note(event)
            self._raise_error()
            if not started and time.monotonic() - began > self.shape.patience_s:
                self._abandon()
                raise EngineError(
                    f"no place for a worker after {self.shape.patience_s:.0f} s: it wants {self.shape.wants()}; "
                    "lower cluster.cpus_per_worker or gpus_per_worker, or add nodes"
                )
        self.stats.load_s = time.monotonic() - began
        self._gc = gc.get_threshold()
        gc.set_threshold(*RARELY)
        return self

    def _start(self) -> None:
        import ray
        import ray.data
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here_id = ray.get_runtime_context().get_node_id()
        here = NodeAffinitySchedulingStrategy(here_id, soft=False)
        self._hub = ray.remote(Hub).options(num_cpus=0, scheduling_strategy=here, max_concurrency=10_000).remote()
        context = ray.data.DataContext.get_current().copy()
        context.enable_progress_bars = False
        context.target_max_block_size = 1  # a block a pack: none is held back until others fill it up
        context._max_num_blocks_in_streaming_gen_buffer = 64  # packs under way from the source: 2 would wait for each
        context.max_consecutive_actor_init_deaths = 2 + self.shape.workers
        with ray.data.DataContext.current(context):
            source = ray.data.read_datasource(
                Source(self._hub),
                override_num_blocks=1,
                num_cpus=0,
                label_selector={"ray.io/node-id": here_id},
            )
            tasks = self.shape.tasks_per_worker
            dataset = source.map_batches(
                Worker,
                batch_size=1,
                batch_format="pyarrow",
                fn_constructor_kwargs={"spec": self.spec, "hub": self._hub},
                compute=ray.data.ActorPoolStrategy(
                    size=self.shape.workers,
                    max_tasks_in_flight_per_actor=tasks,
                    max_concurrent_calls_per_actor=tasks,
                    enable_true_multi_threading=True,
                ),
                num_cpus=self.shape.cpus_per_worker,
                num_gpus=self.shape.gpus_per_worker or None,
                resources=self.shape.resources or None,
            )
        # What `iter_internal_ref_bundles` does, but for keeping the executor: nothing public ends an execution whose
        # actors are still waiting for a place or loading.
        self._executor = dataset._create_executor()
        bundles = dataset._build_bundle_iterator(self._executor)
        self._running = True
        threading.Thread(target=self._watch_dataset, args=(bundles,), name="ray data", daemon=True).start()
        threading.Thread(target=self._watch_hub, name="ray news", daemon=True).start()

    def _watch_dataset(self, bundles: Iterator[Any]) -> None:
        import ray

        try:
            for bundle in bundles:
                for block in ray.get(list(bundle.block_refs)):
                    for answer in things(block):
                        self._events.put(("answer", answer))
            self._events.put(("ended", None))
        except BaseException as e:
            self._events.put(("ended", e))

    def _watch_hub(self) -> None:
        import ray

        seen = 0
        with suppress(Exception):  # killed at the end
            while True:
                news = ray.get(self._hub.news.remote(seen))
                seen += len(news)
                for one in news:
                    self._events.put(one)

    def _next_events(self, wait_s: float = 0.5) -> list[tuple[Any, ...]]:
        """What has happened; after `wait_s` it may be nothing."""
        events: list[tuple[Any, ...]] = []
        try:
            events.append(self._events.get(timeout=wait_s))
            while True:
                events.append(self._events.get_nowait())
        except queue.Empty:
            return events

    def _note(self, event: tuple[Any, ...]) -> None:
        """Take in anything but an answer."""
        match event:
            case ("started", name, handle):
                self._restarts += name in self._workers
                self._workers[name] = handle
                self._open.discard(name)
            case ("opened", name, stats):
                self._open.add(name)
                self._most = max(self._most, len(self._open))
                self._opened.append(stats)
                for warning in stats.extra.pop("warnings", ()):
                    self.stats.extra.setdefault("warnings", []).append(f"{warning} (worker {name})")
            case ("closed", name, stats):
                self._closed.append(stats)
                self._open.discard(name)
            case ("failed", _, error):
                self._error = self._error or error
            case ("ended", error):
                self._running = False
                if self._error is None:
                    why = first_line(_cause(error)) if error else "by itself"
                    self._error = EngineDied(f"the Ray Data execution ended: {why}", self._flight)

    def _raise_error(self) -> None:
        if self._error is None:
            return
        # A worker that failed has told the hub why before Ray noticed that it is gone.
        deadline = time.monotonic() + 2
        while isinstance(self._error, EngineDied) and time.monotonic() < deadline:
            for event in self._next_events(0.1):
                if event[0] == "failed":
                    self._error = event[2]
        self._abandon()
        raise self._error

    def steps(self, requests: Iterable[Request]) -> Iterator[list[Output]]:
        """Run `requests`; a list is what came back together, empty where nothing has for a while.

        Raises:
            EngineDied: the pool is gone; names the requests in flight.
            VoicetrackError: what a worker could not go on for.
        """
        source, exhausted = iter(requests), False
        while True:
            fresh = []
            while not exhausted and len(self._flight) < self.shape.window:
                rows = list(islice(source, self.shape.rows_per_task))
                exhausted = len(rows) < self.shape.rows_per_task
                if rows:
                    self._flight.update(row.key for row in rows)
                    fresh.append((rows, False))
            self._send(fresh)
            if not self._flight and exhausted:
                return
            outputs: list[Output] = []
            for event in self._next_events():
                if event[0] == "answer":
                    outputs += self._take(event[1])
                else:
                    self._note(event)
            if self._done:
                self._hub.done.remote(self._done)
                self._done = []
            yield outputs
            self._raise_error()

    def _send(self, batches: list[tuple[list[Request], bool]]) -> None:
        """Put packs of requests, each solo or not, into the dataset."""
        if not batches:
            return
        packs = [Pack(self._count + i, rows, solo) for i, (rows, solo) in enumerate(batches)]
        self._count += len(packs)
        self._packs |= {pack.number: pack for pack in packs}
        self._hub.put.remote({pack.number: packed(pack) for pack in packs})

    def _take(self, answer: Any) -> list[Output]:
        pack = self._packs.pop(answer.number, None)
        if pack is None:  # a pack that ran twice
            return []
        self._done.append(answer.number)
        outputs = [output for output in answer.outputs if output.key in self._flight]
        if outputs:
            self._barren = 0
        self._flight.difference_update(output.key for output in outputs)
        left = [request for request in pack.requests if request.key in self._flight]
        if answer.died is not None:
            outputs += self._halve(left, pack.solo, answer.died)
        elif left:  # of a worker that was closing
            self._send([(left, pack.solo)])
        return outputs

    def _halve(self, left: list[Request], solo: bool, why: str) -> list[Output]:
        """Send what workers died of again, alone and in halves; a single row is given up."""
        self._barren += 1
        most = BARREN + self.shape.workers * self.shape.tasks_per_worker
        if self._barren > most:
            raise EngineError(f"{self.stage}: {why}; {self._barren} packs in a row gave nothing but dead workers")
        log.warning("%s: %s; sent again in smaller packs: %d rows", self.stage, why, len(left))
        if solo and len(left) == 1:
            self._flight.discard(left[0].key)
            return [Output(left[0].key, error={"kind": "engine_died", "message": f"{why}, alone on its worker"})]
        middle = len(left) // 2 if solo else len(left)
        self._send([(rows, True) for rows in (left[:middle], left[middle:]) if rows])
        return []

    def __exit__(self, *exc: object) -> None:
        began = time.monotonic()
        gc.set_threshold(*self._gc)
        if self._running and self._hub is not None:
            self._hub.close.remote()
            quiet_since = began
            while self._running and self._open and time.monotonic() - began < CLOSING_S:
                for event in self._next_events():
                    self._note(event)
                    quiet_since = time.monotonic()
                if time.monotonic() - quiet_since > SILENCE_S:
                    self._open -= self._lost()
        self._abandon()
        self._sum_up()
        self.stats.close_s = time.monotonic() - began
        if self._error is not None and exc[0] is None and not isinstance(self._error, EngineDied):
            raise self._error

    def _lost(self) -> set[str]:
        """Names of workers that do not answer: they died, and a new one has not opened its engine yet."""
        import ray

        asked = {self._workers[name].get_location.remote(): name for name in self._open}
        ready, late = ray.wait(list(asked), num_returns=len(asked), timeout=SILENCE_S)
        lost = {asked[ref] for ref in late}
        for ref in ready:
            try:
                ray.get(ref)
            except ray.exceptions.RayError:
                lost.add(asked[ref])
        return lost

    def _abandon(self) -> None:
        """End the pool, and wait until its actors are gone: the next stage needs what they held."""
        import ray

        if self._executor is not None:
            self._executor.shutdown(force=True)
        until = time.monotonic() + SILENCE_S
        for handle in self._workers.values():
            with suppress(Exception):
                ray.kill(handle)
            while time.monotonic() < until:
                try:
                    ray.get(handle.get_location.remote(), timeout=1)
                except ray.exceptions.GetTimeoutError:
                    continue
                except ray.exceptions.RayError:
                    break
        if self._hub is not None:
            with suppress(Exception):
                ray.kill(self._hub)
        self._workers.clear()
        self._hub = self._executor = None

    def _sum_up(self) -> None:
        """The workers' figures as one: the largest footprint, sums of what can be added."""
        self.stats.footprint_mib = max((s.footprint_mib for s in self._closed), default=0.0)
        self.stats.returned_mib = max((s.returned_mib for s in self._closed), default=0.0)
        extra: dict[str, Any] = {}
        for stats in self._closed:
            for name, value in stats.extra.items():
                adds = isinstance(value, (int, float)) and not isinstance(value, bool) and name in extra
                extra[name] = extra[name] + value if adds else extra.get(name, value)
        loads = [s.load_s for s in self._opened]
        self.stats.extra |= extra | {
            "workers": self._most,
            "worker_restarts": self._restarts,
            "engines_opened": len(self._opened),
            "worker_load_s": round(max(loads, default=0.0), 3),
        }


def _cause(error: BaseException) -> BaseException:
    """What Ray's own error was raised for."""
    return getattr(error, "cause", None) or error.__cause__ or error
