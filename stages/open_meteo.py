"""Forecasts from Open-Meteo (https://open-meteo.com/en/docs), in the form of a station's forecast file.

Hourly temperatures and WMO 4677 weather codes of today and tomorrow become entries for parts of a day.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Sequence
from typing import Any

from engine.errors import EngineError, UserError

TIMEOUT_S = 20
ANSWER_LIMIT = 1024 * 1024

# Part of day: id, what is said of it, hours counted from midnight today, and when it may be spoken.
_PARTS = (
    ("morning", "this morning", range(6, 12), "06:30"),
    ("afternoon", "this afternoon", range(12, 18), "12:30"),
    ("evening", "this evening", range(18, 24), "18:30"),
    ("tomorrow", "tomorrow", range(30, 46), "20:30"),
)
_CODES = {
    0: "clear skies", 1: "mostly clear skies", 2: "some clouds", 3: "overcast skies", 45: "fog", 48: "freezing fog",
    51: "light drizzle", 53: "drizzle", 55: "heavy drizzle", 56: "freezing drizzle", 57: "freezing drizzle",
    61: "light rain", 63: "rain", 65: "heavy rain", 66: "freezing rain", 67: "freezing rain",
    71: "light snow", 73: "snow", 75: "heavy snow", 77: "snow grains",
    80: "light showers", 81: "showers", 82: "heavy showers", 85: "snow showers", 86: "heavy snow showers",
    95: "thunderstorms", 96: "thunderstorms with hail", 99: "thunderstorms with hail",
}  # fmt: skip


def fetch(latitude: float, longitude: float, unit: str, url: str) -> list[dict[str, Any]]:
    """Forecast entries (id, period, conditions, high, low, time) for a place.

    Args:
        latitude, longitude: degrees.
        unit: `F` for Fahrenheit, else Celsius.
        url: the service's forecast endpoint.

    Raises:
        UserError: the service refuses the question.
        EngineError: it cannot be reached, or answers with something else than a forecast.
    """
    query = {
        "latitude": latitude,
        "longitude": longitude,
        "hourly": "temperature_2m,weather_code",
        "temperature_unit": "fahrenheit" if unit.upper().startswith("F") else "celsius",
        "timezone": "auto",
        "forecast_days": 2,
    }
    instead = "station.weather=file takes the station's forecast.json"
    try:
        with urllib.request.urlopen(f"{url}?{urllib.parse.urlencode(query)}", timeout=TIMEOUT_S) as answer:
            data = json.loads(answer.read(ANSWER_LIMIT))
        return _entries(data["hourly"]["temperature_2m"], data["hourly"]["weather_code"])
    except urllib.error.HTTPError as error:
        if error.code == 400:
            raise UserError(f"the weather service refuses: {_reason(error)}", "station.weather", instead) from None
        raise EngineError(f"{url}: answers {error.code} {error.reason}; try again later, or {instead}") from None
    except (OSError, ValueError) as error:
        if isinstance(error, ValueError) and not isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
            raise UserError(f"is no address ({error})", "station.weather_url", instead) from None
        problem = getattr(error, "reason", None) or error
        raise EngineError(f"{url}: no forecast could be fetched ({problem}); try again later, or {instead}") from None
    except (KeyError, TypeError, IndexError):
        raise EngineError(f"{url}: the answer holds no hourly forecast; {instead}") from None


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read(4096))["reason"])[:200]
    except (ValueError, KeyError, TypeError, OSError):
        return str(error.reason)


def _entries(temperatures: Sequence[float | None], codes: Sequence[int | None]) -> list[dict[str, Any]]:
    out = []
    for name, period, hours, time in _PARTS:
        known = [(temperatures[h], codes[h]) for h in hours if temperatures[h] is not None and codes[h] is not None]
        if known:
            degrees = [t for t, _ in known]
            out.append({
                "id": name, "period": period, "conditions": _conditions([int(c) for _, c in known]),
                "high": round(max(degrees)), "low": round(min(degrees)), "time": time,
            })  # fmt: skip
    if not out:
        raise KeyError("hourly")
    return out


def _conditions(codes: list[int]) -> str:
    """What the first and the second half of the hours are mostly like."""
    first, then = (_mostly(codes[: (len(codes) + 1) // 2]), _mostly(codes[len(codes) // 2 :]))
    return first if first == then else f"{first}, then {then}"


def _mostly(codes: list[int]) -> str:
    """The most frequent condition; of equally frequent ones the worse."""
    counts = Counter(codes)
    return _CODES.get(max(counts, key=lambda code: (counts[code], code)), "changeable weather")
