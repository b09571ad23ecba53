"""What tests of the stages share: the sample station."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

SAMPLE = Path(__file__).parents[2] / "data" / "sample_station"


@pytest.fixture(scope="session")
def sample_path() -> Path:
    """The sample station's folder, not to be written to."""
    return SAMPLE


@pytest.fixture(scope="session")
def sample():
    """The sample station, loaded."""
    from stages.station import Station

    return Station.load(SAMPLE)


@pytest.fixture
def own_station(tmp_path) -> Path:
    """A copy of the sample station to change."""
    return Path(shutil.copytree(SAMPLE, tmp_path / "station"))
