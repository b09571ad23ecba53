"""generate, from files: scripts written elsewhere enter as first candidates, each with where it came from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Self

from engine.backend import BackendStats
from engine.errors import UserError
from engine.job import Job
from engine.records import Output, Request
from engine.stage import Stage
from stages.desk import Desk
from stages.scripts_in import Given, read_scripts


class Copier:
    """A backend that answers with the script it was given; also its own spec. Needs no model."""

    def __init__(self) -> None:
        self.stats = BackendStats()

    def identity(self) -> Mapping[str, Any]:
        """Nothing but the script decides."""
        return {}

    def group(self) -> str:
        """One for all."""
        return "given"

    def open(self) -> Copier:
        """A new one."""
        return Copier()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def steps(self, requests: Iterable[Request]) -> Iterator[list[Output]]:
        """Each script as it is."""
        source = iter(requests)
        while batch := list(islice(source, 256)):
            yield [Output(request.key, request.payload["script"]) for request in batch]


class GivenScripts(Stage):
    """Requests: the scripts of `audit.scripts`, as candidates of the first attempt in the order they come in.

    Raises:
        UserError: the scripts cannot be read, or a writer is to run as well.
    """

    name = "generate"

    def __init__(self, job: Job):
        super().__init__(job)
        if "generate" in job.config.stages:
            raise UserError(
                "with audit.scripts nothing is written first",
                "+stage",
                "run +stage=[audit,report], then +stage=all on the same checkpoint.path to rewrite what failed",
            )
        self.desk = Desk.of(job)
        self.by_link: dict[str, list[Given]] = {}
        for given in read_scripts(Path(job.config.audit.scripts).expanduser(), self.desk.station):
            self.by_link.setdefault(given.link.key, []).append(given)

    def backend(self) -> Copier:
        """No engine: the scripts are there."""
        return Copier()

    def requests(self) -> Iterator[Request]:
        """The selected links' scripts."""
        for link in self.desk.links():
            for n, given in enumerate(self.by_link.get(link.key, ()), 1):
                yield Request(f"{link.key}#1.{n}", {"script": given.script}, context=given)

    def output(self, request: Request, output: Output) -> dict[str, Any]:
        """Keeps the script and its provenance."""
        given: Given = request.context
        return {"link": given.link.key, "script": output.value, "source": given.source}
