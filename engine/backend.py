"""The interface of everything that runs requests: an LLM engine, a synthesizer, a Ray actor pool.

A backend is opened and closed as a context manager; in between, `steps(requests)` takes a lazy iterable of requests
and yields lists of outputs as they finish. Contract:

* every request taken gets exactly one output, in any order; a bad one an `Output` with `error`;
* requests are drawn from the iterable only as room appears, so a million of them need no more memory than a batch;
* a list is what finished together (one engine step); the caller keeps it on disk before long. It may be empty, so
  that a caller who wants to stop need not wait for the next row;
* a backend whose attribute `open_ended` is true goes on with what is in flight where the iterable yields None, which
  stands for "nothing just now"; it does so only while something is in flight;
* `EngineDied` names the requests that were in flight; outputs yielded before it stand;
* after `__exit__` the device memory is back, and `stats` says how much and how fast.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, Self, runtime_checkable

from engine.records import Output, Request


@dataclass
class BackendStats:
    """Measured by a backend over its own life.

    Attributes:
        load_s, close_s: seconds to open and to close.
        footprint_mib: memory taken between before opening and just before closing (device memory where there is a
            device, else this process's resident set and its engine children's).
        returned_mib: how much of it was back after closing.
        opened: 0 where the backend had stayed open (see `engine.staying`).
        extra: backend-specific figures worth reporting, JSON-able.
    """

    load_s: float = 0.0
    close_s: float = 0.0
    footprint_mib: float = 0.0
    returned_mib: float = 0.0
    opened: int = 1
    extra: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return asdict(self)


@runtime_checkable
class Backend(Protocol):
    """What the runner drives; see the module's docstring for the contract."""

    stats: BackendStats

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc) -> None: ...

    def steps(self, requests: Iterable[Request]) -> Iterator[list[Output]]:
        """Run `requests`, yielding what finished together as a list."""
        ...


class BackendSpec(Protocol):
    """How to open a backend: cheap to make, needs no torch, equal specs share one opened backend."""

    def identity(self) -> Mapping[str, Any]:
        """Named parts that decide outputs beyond the request itself (model, revision): hashed into fingerprints."""
        ...

    def group(self) -> str:
        """Requests whose specs have the same group go through one opened backend."""
        ...

    def open(self) -> Backend:
        """A backend, not yet entered."""
        ...

    # A spec that cannot be sent to another process, or must first make something there for all to use, may have a
    # method `portable()`, which does so and returns a spec of the same group and identity that can.
