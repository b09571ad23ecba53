"""Stables for runs to be forked from, and a station to change."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reliability.stable import ROOT, Stable

SAMPLE = ROOT / "data" / "sample_station"


@pytest.fixture(scope="session")
def light(tmp_path_factory) -> Iterator[Stable]:
    """Forks runs that never get as far as an engine: torch is not imported beforehand."""
    with Stable(tmp_path_factory.mktemp("light"), vllm=False) as stable:
        yield stable


@pytest.fixture
def own_station(tmp_path) -> Path:
    """A copy of the sample station to change."""
    return Path(shutil.copytree(SAMPLE, tmp_path / "station"))
