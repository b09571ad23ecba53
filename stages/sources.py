"""The station of a job, with its forecast from wherever the config says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import orjson

from engine.errors import UserError
from engine.job import Job
from stages.forecast import load_forecasts
from stages.station import Station

KEPT = "forecast.json"  # in the checkpoint: what was fetched for it


def load_station(job: Job) -> Station:
    """Read the station folder; fetch the forecast where `station.weather=open_meteo`.

    A forecast is fetched once and then kept in the checkpoint, so that a resumed run asks the same questions.

    Raises:
        UserError: what is wrong with the station, or the coordinates are missing.
        EngineError: the forecast could not be fetched.
    """
    config = job.config.station
    station = Station.load(Path(config.path).expanduser())
    if config.weather.value == "file":
        return station
    path = job.checkpoint.path / KEPT
    if not path.exists():
        from stages.open_meteo import fetch

        for name, most in (("latitude", 90), ("longitude", 180)):
            value = config[name]
            if value is None or not -most <= value <= most:
                problem = "is not set" if value is None else f"{value:g} is not on this planet"
                raise UserError(problem, f"station.{name}", f"degrees from -{most} to {most}, for weather=open_meteo")
        forecast = fetch(config.latitude, config.longitude, station.temperature_unit, config.weather_url)
        job.checkpoint.write_file(KEPT, orjson.dumps({"forecasts": forecast}, option=orjson.OPT_INDENT_2))
    return replace(station, forecasts=load_forecasts(path))
