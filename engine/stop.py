"""Stopping by hand: the first Ctrl-C or SIGTERM asks the run to end in order, the second ends it at once."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any, Self


class Stopped(Exception):
    """The user asked the run to stop. `exit_code` is the shell's for the signal (130 for Ctrl-C, 143 for SIGTERM)."""

    def __init__(self, signum: int):
        super().__init__(signal.Signals(signum).name)
        self.exit_code = 128 + signum


class StopFlag:
    """Set by the first signal while entered; `check` then raises between two engine steps.

    Outside the main thread, where Python allows no handlers, it is never set.
    """

    def __init__(self, announce: Any = None):
        self._signum: int | None = None
        self._announce = announce
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._previous = {s: signal.signal(s, self._handle) for s in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *exc: object) -> None:
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if self._signum is not None:
            # Records are safe whatever happens now; unwinding through a busy engine could take minutes.
            os._exit(128 + signum)
        self._signum = signum
        if self._announce:
            self._announce()

    def check(self) -> None:
        """Raise `Stopped` if a signal came.

        Raises:
            Stopped: once a signal has come.
        """
        if self._signum is not None:
            raise Stopped(self._signum)
