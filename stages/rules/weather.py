"""The rule on forecasts: figures and skies as they were given, and something said of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from stages.link import Forecast, Link
from stages.rules.names import Names
from stages.rules.patterns import any_of
from stages.rules.registry import rule
from stages.rules.text import Script
from stages.speech import DECADES, UNDER_100, times_said, words_to_number

_UNIT = r"(?:\s*(?:°|º|degrees?|deg\b|celsius|centigrade|fahrenheit|[cf]\b))"
_NUMBER = any_of(
    r"(?P<freq>\b(?:8[7-9]|9\d|10[0-8])\.\d{1,2}\b)",  # a station's frequency
    rf"\b(?P<decade>{'|'.join(DECADES)})\b|\b(?P<dd>[1-9]0)'?s\b",  # "up in the seventies"
    r"(?P<sign>(?:minus|negative|below)\s+|(?<![\w.])[-−—](?=\d))?"
    rf"(?:(?P<digits>(?<![\w.:])\d+(?:\.\d+)?(?![\d:]))|\b(?P<words>{UNDER_100}|(?:a|one) hundred)\b)"
    rf"(?P<unit>{_UNIT})?(?P<percent>\s*(?:%|percent\b|per cent\b))?(?P<below>\s+below\b)?",
)
_TIME_UNIT = re.compile(
    r"[- ]*(?:hours?|minutes?|mins?|seconds?|days?|nights?|weeks?|months?|years?|o'?clock|[ap]\.?m\b|times|blankets?|"
    r"coats?|layers?|cups?|mugs?|kettles?|things?|songs?|"
    r"more|of|or two|lamps?|boats?|ferr\w+|buses|bus|trains?|jumpers?|scarves|socks|stops?|pots?|teas?|slices?|"
    r"people|fm|mhz|st\b|nd\b|rd\b|th\b|in the|this (?:morning|evening|afternoon)|tonight)"
)
_TO = r"(?: up| down)?(?: to)?"
_LEADS = re.compile(  # a spelled number after these is a temperature
    r"\b(?:highs?|lows?|temperatures?|mercury|thermometer|maximum|minimum|reach(?:es|ing)?|down to|up to|"
    rf"(?:climb|drop|dip|fall|slip|sink)(?:s|ping|ing)?{_TO}|ris(?:es|ing|e){_TO}|"
    r"(?:top|bottom|peak)(?:s|ping|ing)?(?: out)?(?: at)?|(?:warm|cool)(?:s|ing)?(?: up| down)? to)\s+"
    r"(?:(?:a|the|near|around|about|just|only|of|to|at|balmy|chilly|cool|warm|mild|crisp) )*$"
)
_HIGH = re.compile(
    r"\b(?:highs?|top(?:s|ping)?(?: out)?|peak(?:s|ing)?|maximum|max|up to|climb(?:s|ing)?|ris(?:e|es|"
    r"ing))\b[^.!?\d,;]{0,22}$"
)
_LOW = re.compile(
    r"\b(?:lows?|minimum|min|down to|drop(?:s|ping)?|dip(?:s|ping)?|fall(?:s|ing)?|slip(?:s|ping)?|sink(?:s|ing)?|"
    r"bottom(?:s|ing)?(?: out)?|cool(?:s|ing)? (?:down )?to)\b[^.!?\d,;]{0,22}$"
)

# What a sky may be called. A forecast word opens its family; a script may use any word of an opened family.
_FAMILIES: dict[str, str] = {
    "rain": r"rain\w*|drizzl\w*|shower\w*|downpours?|wet|damp|soggy|umbrella\w*|brolly|brollies|puddles?|pours?|"
    r"pouring|splash\w*|sprinkl\w*|spits?|spitting|mizzle|raindrops?|drops",
    "storm": r"storm\w*|thunder\w*|lightning|squall\w*|gales?|tempest",
    "snow": r"snow\w*|sleet|flurr\w+|blizzards?|slush\w*|flakes?|hail\w*|wintry",
    "ice": r"fros\w+|ice|icy|freez\w+|frozen|black ice|nippy",
    "sun": r"sun\w*|clear\w*|bright\w*|blue sk\w+|cloudless|dry|fine|fair|brighten\w*|heatwave|glorious|stars?|"
    r"starlight|starry|unclouded",
    "cloud": r"cloud\w*|overcast|gr[ae]y\w*|dull|murky|gloom\w*|leaden|blanket of",
    "fog": r"fog\w*|mist\w*|haz[ey]\w*|murk\w*|thick as",
    "wind": r"wind\w*|breez\w+|gust\w*|blow\w*|blustery|blows|gales?|draught\w*",
    "heat": r"hot|heat\w*|warm\w*|mild\w*|scorch\w*|balmy|swelter\w*|muggy|humid\w*|close",
    "cold": r"cold\w*|chill\w*|cool\w*|crisp\w*|fresh\w*|bitter\w*|nippy|raw|brisk",
}
_FAMILY = {k: re.compile(rf"\b(?:{v})\b") for k, v in _FAMILIES.items()}
_ANY_WEATHER = re.compile(rf"\b(?:{'|'.join(_FAMILIES.values())})\b")
_IDLE = frozenset(
    "light later with this along from some then mainly mostly patchy turning becoming chance inland front".split()
)
# Words that flatly contradict a forecast without their family; idle ones ("damp", "clear") are left out on purpose.
_CLAIMS = {
    ("rain", "storm", "snow"): re.compile(
        r"\b(?:rain(?:s|ing|y|fall|storms?)?|showers?|downpours?|drizzl(?:e|ing|y))\b"
    ),
    ("snow",): re.compile(r"\b(?:snow(?:s|ing|y|fall|storm|flakes?)?|sleet|blizzards?)\b"),
    ("storm",): re.compile(r"\b(?:thunder(?:s|storms?|y)?|lightning)\b"),
    ("storm", "wind"): re.compile(r"\b(?:storms?|stormy|gales?)\b"),
    ("sun", "heat"): re.compile(
        r"\b(?:sunny|sunshine|cloudless|blue sk(?:y|ies)|clear sk(?:y|ies)|wall-to-wall sun|heatwave|scorch(?:er|ing)|"
        r"sunburn|sunscreen)\b"
    ),
}
_NEGATED = re.compile(
    r"\b(?:no|not|never|without|nor|neither|hardly|little|less|isn't|won't|don't|doesn't|wasn't|can't|forget|hide|"
    r"hiding|behind|hope|hoping|if|dream\w*|wish\w*|until|till|after|instead|rather|might|maybe|miss\w*|dodg\w+|free|"
    r"out of|away from|yesterday\w*|last|song|waiting|almost|like|promis\w+ of|threat\w*|chance|better than|away|"
    r"gone|over|end of)\b[^.!?]{0,24}$"
)


@rule(
    "figures or skies that are not in the forecast (high and low swapped too), or no word of it at all; `tolerance` "
    "in degrees",
    languages=("en",),
    subjects=("weather",),
    tolerance=0,
    conditions=True,
)
def weather_facts(script: Script, link: Link, options: Mapping[str, Any], names: Names) -> Iterator[str]:
    forecast, plain = link.forecast, script.plain
    numbers = list(_NUMBER.finditer(plain))
    wrong = _wrong_figure(plain, forecast, numbers, options["tolerance"]) if numbers else None
    if wrong:
        yield wrong
        return
    families, stems = _skies(forecast.conditions, forecast.period)
    if options["conditions"] and families and (claim := _wrong_sky(plain, families)):
        yield f'speaks of "{claim}", which is not in the forecast ({_summary(forecast)})'
        return
    if any(_states_temperature(m, forecast, options["tolerance"]) for m in numbers):
        return
    mentioned = any(_FAMILY[f].search(plain) for f in families) or any(f" {s}" in f" {plain}" for s in stems)
    if not mentioned and (families or not _ANY_WEATHER.search(plain)):
        yield f"does not say what the weather is: {_summary(forecast)}"


@lru_cache(maxsize=10_000)
def _skies(conditions: str, period: str) -> tuple[frozenset[str], tuple[str, ...]]:
    """The families of weather words a forecast opens, and stems of its own words."""
    known, conditions = f"{conditions} {period}".lower(), conditions.lower()
    stems = [w[:5] for w in re.findall(r"[a-z]{4,}", conditions) if w not in _IDLE] or re.findall(r"\w+", conditions)
    return frozenset(f for f, words in _FAMILY.items() if words.search(known)), tuple(stems)


def _wrong_sky(plain: str, families: frozenset[str]) -> str | None:
    """A kind of weather that is claimed and not in the forecast."""
    for group, claims in _CLAIMS.items():
        if families.isdisjoint(group):
            for m in claims.finditer(plain):
                if not _NEGATED.search(plain, 0, m.start()):
                    return m[0]
    return None


def _decade(m: re.Match) -> int:
    return DECADES[m["decade"]] if m["decade"] else int(m["dd"])


def _states_temperature(m: re.Match, forecast: Forecast, tolerance: float) -> bool:
    """Whether a number is one of the forecast's, so that something of the weather has been said."""
    known = [t for t in (forecast.high, forecast.low) if t is not None]
    if m["decade"] or m["dd"]:
        return True
    return bool(m["digits"] or m["words"]) and any(abs(abs(_value(m)) - abs(t)) <= tolerance for t in known)


def _wrong_figure(plain: str, forecast: Forecast, numbers: list[re.Match], tolerance: float) -> str | None:
    """What is wrong with the figures: one that is not in the forecast, or high and low changed over."""
    high, low = forecast.high, forecast.low
    known = [t for t in (high, low) if t is not None]
    known_text = f"{forecast.conditions} {forecast.period}".lower()
    for m in numbers:
        if (m["decade"] or m["dd"]) and known and not any(t // 10 * 10 == _decade(m) for t in known):
            return f'states "{m[0]}", which is not in the forecast ({_summary(forecast)})'
    for m in _figures(plain, numbers):
        value, text = _value(m), m[0].strip(" —")
        if m["percent"] is not None or not any(abs(value - t) <= tolerance for t in known):
            if not re.search(rf"(?<!\d){int(value)}(?!\d)", known_text):
                return f'states "{text}", which is not in the forecast ({_summary(forecast)})'
            continue
        before = plain[: m.start()].rpartition(" and ")[2]
        if place := _PLACED.match(plain, m.end()):
            before = "high " if place[1] in ("top", "warmest", "high") else "low "
        if value == low != high and _HIGH.search(before) and not _LOW.search(before):
            return f"gives {text} as the high: it is {high}"
        if value == high != low and _LOW.search(before) and not _HIGH.search(before):
            return f"gives {text} as the low: it is {low}"
    return None


_PLACED = re.compile(r"(?: degrees)?,? (?:at|for|on|as) (?:the|a) (top|warmest|high|bottom|coldest|low)\b")


def _figures(plain: str, numbers: list[re.Match]) -> Iterator[re.Match]:
    """Numbers that state a measure: not clock times, frequencies or counts of everyday things."""
    clock = [(t.start, t.end) for t in times_said(plain) if t.form != "bare"]
    for m in numbers:
        if not (m["digits"] or m["words"]):
            continue
        if any(s < m.end() and m.start() < e for s, e in clock) and not m["unit"]:
            continue
        if not (m["unit"] or m["percent"] or m["sign"]):
            # "one of those nights", "two blankets": a spelled number is a figure only where a figure is due.
            if _TIME_UNIT.match(plain, m.end()) or (m["words"] and not _LEADS.search(plain[: m.start()])):
                continue
        yield m


def _value(m: re.Match) -> float:
    """The number a match states."""
    value = (
        float(m["digits"]) if m["digits"] else 100.0 if "hundred" in m["words"] else float(words_to_number(m["words"]))
    )
    return -value if m["sign"] or m["below"] else value


def _summary(forecast: Forecast) -> str:
    parts = [forecast.conditions]
    if forecast.high is not None:
        parts.append(f"high {forecast.high}")
    if forecast.low is not None:
        parts.append(f"low {forecast.low}")
    return ", ".join(parts)
