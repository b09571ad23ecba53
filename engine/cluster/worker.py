"""A worker of a cluster: one engine, fed by the tasks Ray Data gives it.

Ray Data calls the worker once a pack, many packs at a time in threads of their own. They share one backend, which lives
in a thread here: opened, stepped and closed there. It is given rows as packs bring them, and a pack's thread finishes
its outputs (`engine.finish`) while the engine goes on.

A worker that is killed is replaced by Ray, and its packs run again. A pack in flight when engines died is told from its
neighbours by counting: after `MOST_DEATHS` it is sent back unanswered, to be sent again in smaller packs that each run
alone (`solo`), until a row that kills engines stands by itself.
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

from engine.backend import Backend, BackendSpec
from engine.cluster.packs import Answer, Pack, packed, table, things
from engine.errors import EngineDied, EngineError, VoicetrackError
from engine.finish import finished
from engine.records import Output, Request

log = logging.getLogger(__name__)

MOST_DEATHS = 2  # of engines a pack was in flight in: one may be an accident


@dataclass
class Work:
    """A pack on this worker.

    Attributes:
        outputs: as the backend gave them, by their place in the pack.
        over: set when nothing more will come.
    """

    pack: Pack
    outputs: dict[int, Output] = field(default_factory=dict)
    died: str | None = None
    over: threading.Event = field(default_factory=threading.Event)

    def missing(self) -> list[int]:
        """Places of rows that have no output."""
        return [i for i in range(len(self.pack.requests)) if i not in self.outputs]


class Worker:
    """What Ray Data makes on each actor and calls with packs.

    Args:
        spec: of the backend.
        hub: handle of the stage's `Hub`.

    Raises:
        RuntimeError: the backend did not open; the hub has been told why.
    """

    def __init__(self, spec: BackendSpec, hub: Any):
        import ray

        self._ray, self._hub, self._spec = ray, hub, spec
        context = ray.get_runtime_context()
        self.name = context.get_actor_id()  # that of the one whose place it takes, if Ray started it anew
        self._waiting: deque[Work] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._serial = 0
        self._flight: dict[str, tuple[Work, int]] = {}
        self._opened = threading.Event()
        self._error: BaseException | None = None
        self._tell("started", context.current_actor)
        threading.Thread(target=self._await_closing, name="closing", daemon=True).start()
        threading.Thread(target=self._live, name="engine", daemon=True).start()
        self._opened.wait()
        if self._error is not None:
            raise RuntimeError(str(self._error))

    def __call__(self, block: Any) -> Any:
        """A table of one pack in, a table of its answer out."""
        (pack,) = things(block)
        work = Work(pack)
        with self._changed:
            if self._closing or self._error is not None:
                return table(packed(Answer(pack.number)))
            self._waiting.append(work)
            self._changed.notify_all()
        work.over.wait()
        try:
            outputs = [
                finished(pack.requests[i].finish, replace(output, key=pack.requests[i].key))
                for i, output in sorted(work.outputs.items())
            ]
        except Exception as e:
            self._fail(e)
            outputs = []
        return table(packed(Answer(pack.number, outputs, work.died)))

    def _live(self) -> None:
        """The engine's thread."""
        try:
            while self._one_engine():
                pass
        except BaseException as e:
            self._fail(e)
        finally:
            with self._changed:
                self._closing = True
                works = {id(w): w for w in (*self._waiting, *(w for w, _ in self._flight.values()))}
            for work in works.values():
                work.over.set()
            self._opened.set()

    def _one_engine(self) -> bool:
        """From opening a backend to closing it: False where it was to be closed, True where it died."""
        backend = self._spec.open()
        try:
            with backend:
                self._tell("opened", backend.stats)
                self._opened.set()
                while self._wait():
                    with closing(backend.steps(self._rows(backend))) as steps:
                        for outputs in steps:
                            self._take(outputs)
                            if self._closing:
                                break
        except EngineDied as e:
            self._bury(e)
            return True
        self._tell("closed", backend.stats)
        return False

    def _wait(self) -> bool:
        """Wait for a pack; False when there will be none."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            return not self._closing

    def _rows(self, backend: Backend) -> Iterator[Request | None]:
        """Rows of the packs that are waiting, and of those that come while these run.

        Ends where there are none just now, or, for a backend that takes it, goes on with None; ends before and after
        a pack that is to run alone.
        """
        given = False
        while True:
            with self._changed:
                work = self._waiting[0] if self._waiting else None
                if self._closing or (work is not None and work.pack.solo and given):
                    return
                if work is not None:
                    self._waiting.popleft()
            if work is None:
                if not (getattr(backend, "open_ended", False) and self._flight):
                    return
                yield None
                continue
            if not self._begin(work):
                continue
            given = True
            for i in work.missing():
                self._serial += 1
                key = str(self._serial)
                self._flight[key] = work, i
                yield replace(work.pack.requests[i], key=key)
            if work.pack.solo:
                return

    def _begin(self, work: Work) -> bool:
        """Count that the pack is given to an engine; False where it is answered for without."""
        if not work.pack.requests:
            work.over.set()
            return False
        deaths = self._ray.get(self._hub.begin.remote(work.pack.number))
        if deaths >= MOST_DEATHS:
            work.died = f"workers died {deaths} times while it ran"
            work.over.set()
            return False
        return True

    def _take(self, outputs: list[Output]) -> None:
        for output in outputs:
            work, i = self._flight.pop(output.key)
            work.outputs[i] = output
            if len(work.outputs) == len(work.pack.requests):
                work.over.set()

    def _bury(self, death: EngineDied) -> None:
        """An engine in its own process died, this one lives: what was in flight waits for the next."""
        log.warning("%s: %s", self.name, death)
        works = {id(work): work for work, _ in self._flight.values()}
        self._flight.clear()
        with self._changed:
            self._waiting.extendleft(reversed(works.values()))

    def _await_closing(self) -> None:
        try:
            self._ray.get(self._hub.until_closing.remote())
        except Exception:  # the hub is gone, and with it the driver
            pass
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def _fail(self, error: BaseException) -> None:
        """The stage cannot go on: the driver is told, and has the last word."""
        if not isinstance(error, VoicetrackError):
            traceback.print_exception(error)
            error = EngineError(f"{type(error).__name__}: {error}")
        self._error = error
        self._tell("failed", error)

    def _tell(self, word: str, *news: Any) -> None:
        self._ray.get(self._hub.tell.remote(word, self.name, *news))
