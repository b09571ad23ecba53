"""Runs jobs stage by stage: `run(jobs)`.

Stage-major: at each turn the earliest stage with something to do in any job is run, for all jobs at once. Their
requests are grouped by backend; for each group one backend is opened, all requests of all its jobs go in together,
every finished output goes to its own job's shards at once, and the backend is closed (unless it may stay open for a
later turn, see `engine.staying`). The run ends when no stage has anything to do. A stage that asks for more once a
later one has judged its records (writing again what failed its audit) is therefore simply run again; it must bound its
own rounds.

Requests of several jobs with the same key and fingerprint run once and every job keeps the record.
"""

from __future__ import annotations

from engine.board import Board
from engine.commit import Committer
from engine.group import TIMINGS, Group
from engine.job import Job
from engine.plan import Task
from engine.progress import Display
from engine.staying import Backends
from engine.stop import StopFlag, Stopped


def run(jobs: list[Job], display: Display, stop: StopFlag) -> None:
    """Run all stages of `jobs`, resuming what their checkpoints hold.

    A job that fails is left out from there on and its `error` set; the others go on.

    Raises:
        Stopped: Ctrl-C or SIGTERM; what was finished is kept.
        VoicetrackError: the error of the only job, or of the last one left.
    """
    with Committer() as committer:
        for job in jobs:
            for repair in job.attempt(job.open) or ():
                display.warn(repair)
        board = Board(jobs)
        with Backends() as backends:
            while turn := board.next_turn(display):
                stage, tasks = turn
                for group in _by_backend(tasks):
                    donors = board.same_backend(stage, group[0])
                    Group(stage, group, donors, committer, display, stop, backends).run()
                    committer.flush()
                board.ran(stage)
        committer.flush()
        for job in board.alive():
            job.attempt(job.finish)
    failed = [job for job in jobs if job.error]
    if failed and len(failed) == len(jobs):
        raise failed[-1].error


def _by_backend(tasks: list[Task]) -> list[list[Task]]:
    groups: dict[str, list[Task]] = {}
    for task in tasks:
        groups.setdefault(task.spec.group(), []).append(task)
    return list(groups.values())


__all__ = ["TIMINGS", "Stopped", "run"]
