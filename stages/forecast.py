"""Clock times and the forecast file: `{"forecasts": [{id, period, conditions, high, low, time}, …]}`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson

from engine.errors import UserError
from stages.files import clean, decode, read_bytes
from stages.ids import safe_id
from stages.link import Forecast

FORECAST_LIMIT = 4 * 1024 * 1024
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)", re.ASCII)


def parse_clock(value: Any) -> int:
    """Minutes since midnight of `HH:MM` (24 hours).

    Raises:
        ValueError: saying what `value` is, to follow the name of the key.
    """
    match = _CLOCK.fullmatch(value.strip()) if isinstance(value, str) else None
    if not match:
        raise ValueError(f"must be HH:MM from 00:00 to 23:59, is {value!r}")
    return int(match[1]) * 60 + int(match[2])


def spoken_clock(hour: int, minute: int, clock: int) -> str:
    """The time as the station says it: `7:30 AM` on a 12-hour clock, `07:30` on a 24-hour one."""
    if clock == 24:
        return f"{hour:02}:{minute:02}"
    return f"{hour % 12 or 12}:{minute:02} {'AM' if hour < 12 else 'PM'}"


def parse_spoken_clock(text: str) -> int:
    """Minutes since midnight of what `spoken_clock` gives: `7:30 AM` or `07:30`.

    Raises:
        ValueError: if it is neither.
    """
    clock, _, half = text.strip().partition(" ")
    minutes = parse_clock(clock)
    if half.upper() not in ("", "AM", "PM") or (half and not 60 <= minutes < 780):
        raise ValueError(f"must be a time such as 7:30 AM or 07:30, is {text!r}")
    return minutes if not half else minutes % 720 + 720 * (half.upper() == "PM")


def load_forecasts(path: Path) -> tuple[Forecast, ...]:
    """The entries of a forecast file; none where there is no file.

    Raises:
        UserError: naming everything that is wrong in it.
    """
    if not path.exists() and not path.is_symlink():
        return ()
    data = read_bytes(path, FORECAST_LIMIT)
    try:
        value = orjson.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        decode(data, path)
        raise UserError(f"not valid JSON: {error.msg}", where=f"{path}:{error.lineno}") from None
    rows = value.get("forecasts") if isinstance(value, dict) else value
    if not isinstance(rows, list):
        raise UserError("'forecasts' must be a list", where=path, fix='{"forecasts": [{…}, …]}')
    errors: list[UserError] = []
    out: dict[str, Forecast] = {}
    for number, row in enumerate(rows, 1):
        place = f"{path}: forecast {number}"
        try:
            forecast = _forecast(row, place)
        except UserError as error:
            errors.append(error)
            continue
        if forecast.id in out:
            errors.append(UserError(f"the id {row['id']!r} is used twice", where=place))
        out[forecast.id] = forecast
    if errors:
        raise UserError.of_many(errors)
    return tuple(out.values())


def _forecast(row: Any, place: str) -> Forecast:
    if not isinstance(row, dict):
        raise UserError("a forecast must be an object", where=place)
    errors: list[UserError] = []
    texts: dict[str, str] = {}
    for key in ("id", "period", "conditions"):
        value = row.get(key)
        if not isinstance(value, str) or not clean(value):
            errors.append(
                UserError(
                    f"'{key}' is missing" if value is None else f"'{key}' must be text",
                    where=place,
                )
            )
        elif len(value) > 300:
            errors.append(UserError(f"'{key}' is longer than 300 characters", where=place))
        else:
            texts[key] = clean(value)
    numbers: dict[str, int | None] = {}
    for key in ("high", "low"):
        value = row.get(key)
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, (int, float)) or not -100 <= value <= 200
        ):
            errors.append(UserError(f"'{key}' must be a number of degrees, is {value!r}", where=place))
            continue
        numbers[key] = None if value is None else round(value)
    if len(numbers) == 2 and None not in numbers.values() and numbers["low"] > numbers["high"]:
        errors.append(UserError("'low' is above 'high'", where=place))
    minutes = None
    if row.get("time") is not None:
        try:
            minutes = parse_clock(row["time"])
        except ValueError as error:
            errors.append(UserError(f"'time' {error}", where=place))
    if errors:
        raise UserError.of_many(errors)
    hour, minute = divmod(minutes, 60) if minutes is not None else (None, None)
    return Forecast(
        safe_id(row["id"]),
        texts["period"],
        texts["conditions"],
        **numbers,
        hour=hour,
        minute=minute,
    )
