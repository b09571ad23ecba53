"""Whatever is in a station's files, loading it gives a station or one clear error: never a traceback."""

from __future__ import annotations

import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import UserError
from stages.files import parse_yaml
from stages.forecast import load_forecasts
from stages.prompts import Prompts
from stages.station import Station
from tests.stages.conftest import SAMPLE

FILES = sorted(
    str(path.relative_to(SAMPLE))
    for path in SAMPLE.rglob("*")
    if path.is_file() and (path.suffix in (".yaml", ".json", ".md") or "intro" in path.parts or path.name[0] == "_")
)


@pytest.fixture(scope="module")
def station_folder(tmp_path_factory):
    return shutil.copytree(SAMPLE, tmp_path_factory.mktemp("fuzz") / "station")


@st.composite
def damage(draw):
    """A file of the sample station and what its bytes become: cut, overwritten, doubled or filled with yaml marks."""
    file = draw(st.sampled_from(FILES))
    data = (SAMPLE / file).read_bytes()
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        stop = draw(st.integers(start, min(len(data), start + 40)))
        marks = st.sampled_from(
            [b"{", b"[", b": ", b"\n", b"&a ", b"*a", b"!!", b"{{", b"{%", b"%}", b"'", b'"', b"- ", b"\t", b"null"]
        )
        data = data[:start] + draw(st.binary(max_size=12) | marks) + data[stop:]
    return file, data


_patient = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}


def survive(folder, file, data):
    """Put `data` in the place of `file`, load the station and render its prompts."""
    (folder / file).write_bytes(data)
    try:
        station = Station.load(folder)
        prompts = Prompts(station)
        for link in station.links({"limit": 8}):
            prompts.writer(link)
            prompts.auditor(link, "A script.")
    except UserError as error:
        assert all(str(folder) in line for line in str(error).splitlines()), str(error)
    finally:
        (folder / file).write_bytes((SAMPLE / file).read_bytes())


@given(damage())
@settings(max_examples=120, **_patient)
def test_a_damaged_file_gives_a_station_or_one_clear_error(station_folder, harm):
    survive(station_folder, *harm)


@pytest.mark.slow
@given(damage())
@settings(max_examples=5000, **_patient)
def test_thousands_of_damaged_files_give_a_station_or_one_clear_error(station_folder, harm):
    survive(station_folder, *harm)


@given(st.text("ab:[]{}&*!?-|>%@`'\"#,\n\t 01.~\\", max_size=60) | st.text(max_size=60))
@settings(max_examples=2500, deadline=None)
def test_any_text_is_yaml_or_one_clear_error(text):
    try:
        parse_yaml(text, "x.yaml")
    except UserError as error:
        assert str(error).startswith("x.yaml") and "\n" not in str(error)


@given(st.binary(max_size=80))
@settings(max_examples=1100, deadline=None)
def test_any_bytes_are_a_forecast_or_one_clear_error(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "forecast.json"
    path.write_bytes(data)
    try:
        load_forecasts(path)
    except UserError as error:
        assert str(path) in str(error)
