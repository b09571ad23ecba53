"""The interface of a stage: what it asks for, given what is kept, and what it keeps of each answer.

A stage never decides what is already done: `requests` yields *all* it wants, the runner compares each with the
checkpoint by key and fingerprint and runs what is missing or stale. So resume, sharing between sweep points and
retries are written once, in the runner.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from engine.backend import BackendSpec
from engine.records import Output, Request

if TYPE_CHECKING:
    from engine.job import Job


class Stage(ABC):
    """One stage of one job.

    Attributes:
        name: also the name of its shards' folder.
        reads: stages whose records its requests depend on; they are planned anew after any of these has run.
        needs: stages that must have records before this one makes sense; the user is told to run them first.
    """

    name: ClassVar[str]
    reads: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[tuple[str, ...]] = ()

    def __init__(self, job: Job):
        self.job = job

    @abstractmethod
    def backend(self) -> BackendSpec | None:
        """How to open what runs the requests; None for a stage that only finishes (a report)."""

    @abstractmethod
    def requests(self) -> Iterator[Request]:
        """All requests wanted now, in an order that keeps shared prompt prefixes together. Lazy and repeatable."""

    def output(self, request: Request, output: Output) -> Any:
        """What the record keeps of `output` (never an error one), JSON-able.

        Raises:
            RowError: the answer is no use; becomes an error record.
        """
        return output.value

    def retry(self, request: Request, error: Mapping[str, Any]) -> Request | None:
        """A changed request to try once more at once in place of one that ended in `error`; None to let it stand."""
        return None

    def adopt(self, output: Any, other: Job) -> Any | None:
        """What this job keeps of the output that `other` has for the same question, after bringing over what lies
        outside the record (a file); None where that is gone and the request must be run."""
        return output

    def note(self, record: Mapping[str, Any]) -> dict[str, float]:
        """Figures of a fresh record worth showing live, summed by name (`passed`, `audio_s`)."""
        return {}

    def finish(self) -> Mapping[str, Any] | None:
        """Called once when no stage has anything left to do, in stage order: make what is made from all records.

        Returns:
            Figures by name, which `objective` may choose from.
        """
        return None


class FinishingStage(Stage):
    """A stage that runs no backend: all it does is in `finish`."""

    def backend(self) -> None:
        """None: nothing is run."""

    def requests(self) -> Iterator[Request]:
        """None."""
        return iter(())
