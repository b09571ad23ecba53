"""lint: the prompt check as a stage; needs no model, but counts tokens by the models' own tokenizers if it can."""

from __future__ import annotations

from engine.errors import UserError
from engine.job import Job
from engine.stage import FinishingStage, Stage
from stages.desk import Desk
from stages.lint import lint
from stages.tokens import context_of


def stages(job: Job) -> list[Stage]:
    """The stage, as `conf/stage/lint.yaml` names it."""
    return [Lint(job)]


class Lint(FinishingStage):
    """Asks for nothing; renders every prompt and shows what is wrong with them."""

    name = "lint"

    def __init__(self, job: Job):
        super().__init__(job)
        self.desk = Desk.of(job)

    def finish(self) -> None:
        """Show the report.

        Raises:
            UserError: with a line for each finding, where one of them is an error.
        """
        from rich.text import Text

        contexts = {role: context_of(self.job.config[role]) for role in ("writer", "auditor")}
        report = lint(self.desk.station, self.job.config.select, contexts=contexts)
        if not report.ok:
            raise UserError(str(report))
        self.job.shared.setdefault("screens", []).append(Text(str(report)))
