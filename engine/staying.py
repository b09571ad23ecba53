"""The backends of a run that are open: one at a time, but for those whose specs say that they may stay side by side.

A spec may have an attribute `stays`, a name. A backend of a spec that has one stays open when its stage has nothing
left to do, and goes on when the stage is run again: rounds that alternate between two stages load neither twice. It is
closed when a backend is opened whose spec has another name, or none; when its stage needs another engine; and before
the jobs finish.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, Self

from engine.backend import Backend, BackendSpec, BackendStats
from engine.errors import VoicetrackError
from engine.records import Output, Request

Closed = Callable[[BackendStats, VoicetrackError | None], None]
"""Told what closing a backend took, and what went wrong with it."""


class Staying:
    """A backend that stays open when it is left without an error.

    Attributes:
        stats: of this use alone; a backend that was open already has taken no time to load.
        closed: told when it is closed.
    """

    def __init__(self, backend: Backend, stays: str, group: str, closed: Closed):
        self.backend, self.stays, self.group, self.closed = backend, stays, group, closed
        self.is_open = False
        self._now: BackendStats | None = None
        self._before: dict[str, Any] = {}

    @property
    def stats(self) -> BackendStats:
        """Of this use."""
        return self._now or self.backend.stats

    def __enter__(self) -> Self:
        if self.is_open:
            self._now, self._before = BackendStats(opened=0), dict(self.backend.stats.extra)
        else:
            self.backend.__enter__()
            self.is_open = True
        return self

    def __exit__(self, *exc: object) -> None:
        whole = self.backend.stats
        if exc[0] is not None:
            self.is_open = False
            self.backend.__exit__(*exc)
            if self._now is not None:
                self._now = replace(whole, load_s=0.0, opened=0)
        if self._now is not None:
            self._now.extra = since(self._before, whole.extra)
            whole.extra.pop("warnings", None)  # passed on once

    def steps(self, requests: Iterable[Request]) -> Iterator[list[Output]]:
        """The backend's own."""
        return self.backend.steps(requests)

    def close(self) -> None:
        """Close the backend, and tell what that took."""
        if not self.is_open:
            return
        self.is_open, error = False, None
        try:
            self.backend.__exit__(None, None, None)
        except VoicetrackError as e:
            error = e
        self.closed(replace(self.backend.stats, load_s=0.0, opened=0, extra={}), error)


class Backends:
    """Gives a stage its backend: a new one, or the one that stayed open. On leaving it, all are closed."""

    def __init__(self) -> None:
        self._open: dict[str, Staying] = {}  # by stage, in the order of opening

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def backend(self, stage: str, spec: BackendSpec, make: Callable[[], Backend], closed: Closed) -> Backend:
        """The backend for `stage`, to be entered; others that may not stay beside it are closed.

        Args:
            make: makes one, not yet entered.
            closed: told when it is closed, where it stays open now.
        """
        stays: str | None = getattr(spec, "stays", None)
        self.close(lambda other: other.stays != stays)
        if stays is None:
            return make()
        if (kept := self._open.get(stage)) is not None and kept.is_open and kept.group == spec.group():
            kept.closed = closed
            return kept
        self.close(lambda other: other is kept)
        self._open[stage] = Staying(make(), stays, spec.group(), closed)
        return self._open[stage]

    def close(self, which: Callable[[Staying], bool] = lambda _: True) -> None:
        """Close those that are open and `which` holds for, the last opened first: each measures memory from its own
        opening on."""
        for stage, staying in reversed(list(self._open.items())):
            if which(staying):
                del self._open[stage]
                staying.close()


def since(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Figures of a backend's `extra` that came after `before`: counts less what they were, all else as it is."""
    counted = (int, float)
    return {
        name: round(value - before[name], 3)
        if isinstance(value, counted) and not isinstance(value, bool) and isinstance(before.get(name), counted)
        else value
        for name, value in now.items()
    }
