"""Which stage a run takes next."""

from __future__ import annotations

from engine.errors import EngineError
from engine.job import Job
from engine.plan import Survey, Task
from engine.progress import Display

MAX_TURNS = 1000  # of one stage; one that is never content would run for ever


class Board:
    """Which stage is next: the earliest one that has something to do in any job still alive."""

    def __init__(self, jobs: list[Job]):
        self.jobs = jobs
        order: dict[str, None] = {}
        for job in jobs:
            order.update(dict.fromkeys(stage.name for stage in job.stages))
        self.order = list(order)
        self.tasks = {name: [Task(j, s) for j in jobs for s in j.stages if s.name == name] for name in order}
        self.dirty = set(order)
        self.turns: dict[str, int] = {}

    def alive(self) -> list[Job]:
        """Jobs that have not failed."""
        return [job for job in self.jobs if not job.error]

    def next_turn(self, display: Display) -> tuple[str, list[Task]] | None:
        """Name and tasks of the stage to run now; None when no stage has anything left to do."""
        for name in self.order:
            if name not in self.dirty:
                continue
            tasks, whole = [], Survey()
            for task in self.tasks[name]:
                if task.job.error or task.spec is None:
                    continue
                survey = task.job.attempt(task.survey) or Survey()
                whole += survey
                if survey.todo:
                    tasks.append(task)
            self.dirty.discard(name)  # one that reads its own records is dirty again once it has run
            display.surveyed(name, whole, len(self.jobs))
            if tasks:
                self._check_progress(name, whole.todo)
                display.stage_begins(name, whole.todo)
                return name, tasks
        return None

    def same_backend(self, name: str, task: Task) -> list[Task]:
        """All jobs' tasks of stage `name` on the same backend, those with nothing to do included."""
        group = task.spec.group()
        return [t for t in self.tasks[name] if not t.job.error and t.spec and t.spec.group() == group]

    def ran(self, name: str) -> None:
        """`name` was run: stages that read its records are planned anew."""
        for other in self.order:
            if any(name in task.stage.reads for task in self.tasks[other]):
                self.dirty.add(other)

    def _check_progress(self, name: str, todo: int) -> None:
        """A stage whose outputs never satisfy its own requests would run for ever."""
        self.turns[name] = self.turns.get(name, 0) + 1
        if self.turns[name] > MAX_TURNS:
            raise EngineError(f"stage '{name}' still wants {todo} rows after {MAX_TURNS} turns; bound its rounds")
