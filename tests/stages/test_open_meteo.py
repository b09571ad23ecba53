"""Forecasts fetched from a weather service: a real HTTP server on this machine stands in for Open-Meteo."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from engine.errors import EngineError, UserError
from stages.desk import Desk
from tests.stages.studio import compose_job

HERE = ("station.weather=open_meteo", "station.latitude=52.5", "station.longitude=-9.25")


def hourly(temperatures: list, codes: list) -> dict:
    """An answer as https://open-meteo.com/en/docs describes it."""
    times = [f"2026-11-{22 + h // 24}T{h % 24:02}:00" for h in range(48)]
    return {
        "latitude": 52.5, "longitude": -9.25, "timezone": "Europe/Dublin", "elevation": 12.0,
        "hourly_units": {"time": "iso8601", "temperature_2m": "°C", "weather_code": "wmo code"},
        "hourly": {"time": times, "temperature_2m": temperatures, "weather_code": codes},
    }  # fmt: skip


DAYS = hourly([h / 2 - 3 for h in range(48)], [0] * 9 + [61] * 3 + [63] * 12 + [71] * 24)


@pytest.fixture
def service() -> Iterator[ThreadingHTTPServer]:
    """A server that answers with `server.answer` (status and body) and keeps the questions in `server.asked`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.server.asked.append({k: v[0] for k, v in parse_qs(urlsplit(self.path).query).items()})
            status, body = self.server.answer
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.answer, server.asked = (200, DAYS), []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def url(service: ThreadingHTTPServer) -> str:
    return f"station.weather_url=http://127.0.0.1:{service.server_address[1]}/v1/forecast"


def test_parts_of_the_day_become_weather_links(service, tmp_path):
    desk = Desk.of(compose_job(tmp_path, *HERE, url(service), "select.kinds=[weather]", stages="generate"))
    found = {f.id: (f.period, f.conditions, f.high, f.low, f.hour, f.minute) for f in desk.station.forecasts}
    assert found == {
        "morning": ("this morning", "clear skies, then light rain", 2, 0, 6, 30),
        "afternoon": ("this afternoon", "rain", 6, 3, 12, 30),
        "evening": ("this evening", "rain", 8, 6, 18, 30),
        "tomorrow": ("tomorrow", "light snow", 20, 12, 20, 30),
    }
    (asked,) = service.asked
    assert (asked["latitude"], asked["longitude"], asked["temperature_unit"]) == ("52.5", "-9.25", "celsius")
    assert asked["hourly"] == "temperature_2m,weather_code" and asked["timezone"] == "auto"
    assert [link.key for link in desk.links()][:2] == ["dot/weather/morning", "dot/weather/afternoon"]
    prompt = desk.prompts.writer(next(desk.links()))[1]["content"]
    assert "@Conditions: clear skies, then light rain" in prompt and "@High: 2" in prompt


def test_a_resumed_run_keeps_the_forecast_it_began_with(service, tmp_path):
    first = Desk(compose_job(tmp_path, *HERE, url(service), stages="generate")).station.forecasts
    service.answer = (500, b"")
    assert Desk(compose_job(tmp_path, *HERE, url(service), stages="generate")).station.forecasts == first
    assert len(service.asked) == 1


def test_degrees_are_those_of_the_station(service, tmp_path, own_station):
    path = own_station / "station.yaml"
    path.write_text(path.read_text().replace("temperature_unit: C", "temperature_unit: F"))
    Desk(compose_job(tmp_path, *HERE, url(service), f"station.path={own_station}", stages="generate"))
    assert service.asked[0]["temperature_unit"] == "fahrenheit"


def test_hours_without_figures_are_left_out(service, tmp_path):
    service.answer = (200, hourly([None] * 24 + [5.4] * 24, [3] * 48))
    (only,) = Desk(compose_job(tmp_path, *HERE, url(service), stages="generate")).station.forecasts
    assert (only.period, only.conditions, only.high) == ("tomorrow", "overcast skies", 5)


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        ((400, {"error": True, "reason": "Latitude is wrong"}), UserError, "refuses: Latitude is wrong"),
        ((503, b""), EngineError, "answers 503"),
        ((200, b"<html>"), EngineError, "no forecast could be fetched"),
        ((200, {"daily": {}}), EngineError, "holds no hourly forecast"),
        ((200, hourly([None] * 48, [None] * 48)), EngineError, "holds no hourly forecast"),
        ((200, hourly([1.0], [0])), EngineError, "holds no hourly forecast"),
    ],
    ids=["refused", "down", "no JSON", "other JSON", "empty", "short"],
)
def test_a_service_that_fails_is_one_line_that_names_the_way_out(service, tmp_path, answer, error, says):
    service.answer = answer
    with pytest.raises(error) as caught:
        compose_job(tmp_path, *HERE, url(service), stages="generate")
    assert says in str(caught.value) and "station.weather=file" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nobody_there_is_one_line(tmp_path):
    with pytest.raises(EngineError, match="no forecast could be fetched"):
        compose_job(tmp_path, *HERE, "station.weather_url=http://127.0.0.1:9/x", stages="generate")


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (("station.weather=open_meteo",), "station.latitude: is not set"),
        (("station.weather=open_meteo", "station.latitude=91", "station.longitude=0"), "station.latitude: 91 is not"),
        ((*HERE, "station.weather_url=nowhere"), "station.weather_url: is no address"),
    ],
)
def test_a_place_that_is_none_is_refused_before_anybody_is_asked(tmp_path, overrides, says):
    with pytest.raises(UserError, match=says):
        compose_job(tmp_path, *overrides, stages="generate")


def test_without_being_asked_for_nothing_is_fetched(service, tmp_path):
    desk = Desk(compose_job(tmp_path, url(service), stages="generate"))
    assert service.asked == [] and {f.id for f in desk.station.forecasts} == {"morning", "tonight"}
