"""What the user sees while a run goes on: a live table in a terminal, a plain line now and then elsewhere.

Callbacks come from the runner's thread and, for kept records, from the committer's; a lock keeps the sums right.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TextIO

if TYPE_CHECKING:
    from engine.plan import Survey

log = logging.getLogger(__name__)
PLAIN_EVERY_S = 10.0


@dataclass
class StageProgress:
    """Sums of one stage as shown: rows kept of `total`, tokens, and figures the stage itself notes."""

    name: str
    total: int
    state: str = "waiting"
    rows: int = 0
    errors: int = 0
    tokens: float = 0
    notes: dict[str, float] = field(default_factory=dict)
    noted_rows: int = 0
    began: float | None = None
    ended: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds since the first row could be worked on."""
        return 0.0 if self.began is None else (self.ended or time.monotonic()) - self.began

    def cells(self) -> list[str]:
        """Texts for the columns of `COLUMNS`."""
        seconds = self.seconds
        rate = self.rows / seconds if seconds > 0.05 else 0.0
        left = (self.total - self.rows) / rate if rate and not self.ended else 0.0
        passed = self.notes.get("passed")
        return [
            self.name,
            self.state,
            f"{self.rows}/{self.total}",
            f"{rate:.1f}" if rate else "",
            f"{self.tokens / seconds:,.0f}" if self.tokens and seconds > 0.05 else "",
            f"{100 * passed / self.noted_rows:.0f} %" if passed is not None and self.noted_rows else "",
            str(self.errors) if self.errors else "",
            _clock(self.ended and seconds or left) if (self.ended or left) else "",
        ]


COLUMNS = ["stage", "", "rows", "rows/s", "tokens/s", "passed", "errors", "time/left"]


class Display:
    """Progress of a run.

    Args:
        file: where to; duplicated at once, so that it still reaches the terminal while engines' output is diverted.
        live: a live table; None for "if it is a terminal".
        quiet: nothing but warnings.
    """

    def __init__(self, file: TextIO | None = None, live: bool | None = None, quiet: bool = False):
        file = file or sys.stdout
        self.live = file.isatty() if live is None else live
        self.quiet = quiet
        self._out = _duplicate(file)
        self._lock = threading.Lock()
        self._stages: list[StageProgress] = []
        self._console: Any = None
        self._table: Any = None
        self._last_plain = 0.0

    def __enter__(self) -> Self:
        from rich.console import Console

        self._console = Console(file=self._out, force_terminal=self.live or None, highlight=False, soft_wrap=True)
        if self.live and not self.quiet:
            from rich.live import Live

            # Not redirected: Rich would show what engines print, which `chatter` has sent to a log.
            self._table = Live(
                get_renderable=self._render,
                console=self._console,
                refresh_per_second=4,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._table.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._table:
            self._table.stop()

    def say(self, text: str) -> None:
        """A line of its own, above the table. Rich markup in `text` is not interpreted."""
        if not self.quiet:
            self._console.print(text, markup=False)

    def warn(self, text: str) -> None:
        """A line that is shown even when quiet."""
        self._console.print(f"warning: {text}", markup=False, style="yellow" if self.live else None)

    def print(self, renderable: Any) -> None:
        """Any Rich renderable (a table)."""
        if not self.quiet:
            self._console.print(renderable)

    def surveyed(self, stage: str, survey: Survey, points: int) -> None:
        """What a stage of a sweep of `points` (1: a plain run) found done and to do; silent where there is nothing."""
        if survey.todo or survey.done or survey.errors:
            label = f" ({points} points)" if points > 1 else ""
            self.say(f"{stage}{label}: {survey}")

    def stage_begins(self, name: str, total: int) -> None:
        """`total` rows of stage `name` are about to run."""
        with self._lock:
            self._stages.append(StageProgress(name, total))

    def opening(self, name: str) -> None:
        """The stage's backend is being opened."""
        self._state("loading")

    def running(self, name: str) -> None:
        """The backend is open."""
        self._state("running")
        with self._lock:
            stage = self._stages[-1]
            stage.began = stage.began or time.monotonic()

    def closing(self, name: str) -> None:
        """All rows are kept, the backend is being closed."""
        with self._lock:
            self._stages[-1].ended = time.monotonic()
        self._state("closing")

    def stage_ends(self, name: str) -> None:
        """The backend is closed."""
        with self._lock:
            stage = self._stages[-1]
            stage.ended = stage.ended or time.monotonic()
        self._state("done" if stage.rows >= stage.total else "stopped")
        self._plain(force=True)

    def kept(self, name: str, usage: dict[str, float], notes: dict[str, float], is_error: bool) -> None:
        """A record was kept."""
        with self._lock:
            stage = self._stages[-1]
            stage.rows += 1
            stage.errors += is_error
            stage.tokens += usage.get("output_tokens", 0)
            if notes:
                stage.noted_rows += 1
            for key, amount in notes.items():
                stage.notes[key] = stage.notes.get(key, 0) + amount
        self._plain()

    def _state(self, state: str) -> None:
        with self._lock:
            if self._stages:
                self._stages[-1].state = state

    def _plain(self, force: bool = False) -> None:
        if self.live or self.quiet or not (force or time.monotonic() - self._last_plain > PLAIN_EVERY_S):
            return
        self._last_plain = time.monotonic()
        with self._lock:
            name, state, rows, rate, tokens, passed, errors, clock = self._stages[-1].cells()
        parts = [f"{name}: {rows} {state}"]
        parts += [f"{rate} rows/s"] if rate else []
        parts += [f"{tokens} tokens/s"] if tokens else []
        parts += [f"{passed} passed"] if passed else []
        parts += [f"{errors} errors"] if errors else []
        parts += [clock] if clock else []
        self.say(", ".join(parts))

    def _render(self) -> Any:
        from rich.table import Table

        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        for i, column in enumerate(COLUMNS):
            table.add_column(column, justify="left" if i < 2 else "right")
        with self._lock:
            for stage in self._stages:
                table.add_row(*stage.cells())
        return table


def _clock(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _duplicate(file: TextIO) -> TextIO:
    try:
        return os.fdopen(os.dup(file.fileno()), "w", buffering=1, encoding="utf-8", errors="replace")
    except (OSError, ValueError, AttributeError):  # a StringIO, a notebook
        return file
