"""The rule on forecasts: figures and skies as they were given, and something said of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
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
    known = [t for t in (forecast.high, forecast.low) if t is not None]
    known_text = f"{forecast.conditions} {forecast.period}".lower()
    spoken_times = [(t.start, t.end) for t in times_said(plain) if t.form != "bare"]
    said_one = False
    for value, m in _figures(plain, spoken_times):
        text = m[0].strip(" —")
        if m["percent"] is None and any(abs(value - t) <= options["tolerance"] for t in known):
            said_one = True
            before = plain[: m.start()].rpartition(" and ")[2]
            if place := _PLACED.match(plain, m.end()):
                before = "high " if place[1] in ("top", "warmest", "high") else "low "
            if len(set(known)) == 2 and forecast.high != value != forecast.low:
                continue  # within tolerance of both
            if value == forecast.low != forecast.high and _HIGH.search(before) and not _LOW.search(before):
                yield f"gives {text} as the high: it is {forecast.high}"
                return
            if value == forecast.high != forecast.low and _LOW.search(before) and not _HIGH.search(before):
                yield f"gives {text} as the low: it is {forecast.low}"
                return
        elif not re.search(rf"(?<!\d){re.escape(str(int(value)))}(?!\d)", known_text):
            yield f'states "{text}", which is not in the forecast ({_summary(forecast)})'
            return
    for m in _NUMBER.finditer(plain):
        if not (m["decade"] or m["dd"]):
            continue
        ten = DECADES[m["decade"]] if m["decade"] else int(m["dd"])
        if known and not any(t // 10 * 10 == ten for t in known):
            yield f'states "{m[0]}", which is not in the forecast ({_summary(forecast)})'
            return
        said_one = True
    families = {f for f, words in _FAMILY.items() if words.search(known_text)}
    if options["conditions"] and families:
        for group, claims in _CLAIMS.items():
            if families.isdisjoint(group):
                for m in claims.finditer(plain):
                    if not _NEGATED.search(plain, 0, m.start()):
                        yield f'speaks of "{m[0]}", which is not in the forecast ({_summary(forecast)})'
                        return
    if said_one:
        return
    stems = [w[:5] for w in re.findall(r"[a-z]{4,}", forecast.conditions.lower()) if w not in _IDLE]
    stems = stems or re.findall(r"\w+", forecast.conditions.lower())
    mentioned = any(_FAMILY[f].search(plain) for f in families) or any(f" {s}" in f" {plain}" for s in stems)
    if not mentioned and (families or not _ANY_WEATHER.search(plain)):
        yield f"does not say what the weather is: {_summary(forecast)}"


_PLACED = re.compile(r"(?: degrees)?,? (?:at|for|on|as) (?:the|a) (top|warmest|high|bottom|coldest|low)\b")


def _figures(plain: str, clock: list[tuple[int, int]]) -> Iterator[tuple[float, re.Match]]:
    """Numbers in `plain` that state a measure: not clock times, frequencies or counts of everyday things."""
    for m in _NUMBER.finditer(plain):
        if m["freq"] or m["decade"] or m["dd"]:
            continue
        if any(s < m.end() and m.start() < e for s, e in clock) and not m["unit"]:
            continue
        measured = bool(m["unit"] or m["percent"] or m["sign"])
        if m["words"]:
            spelled = m["words"]
            if not measured:
                # "one of those nights", "two blankets": a spelled number is a figure only where a figure is due.
                if not _LEADS.search(plain[: m.start()]) or _TIME_UNIT.match(plain, m.end()):
                    continue
            value = 100.0 if "hundred" in spelled else float(words_to_number(spelled))
        else:
            if not measured and _TIME_UNIT.match(plain, m.end()):
                continue
            value = float(m["digits"])
        if (m["sign"] or m["below"]) and value:
            value = -value
        yield value, m


def _summary(forecast: Forecast) -> str:
    parts = [forecast.conditions]
    if forecast.high is not None:
        parts.append(f"high {forecast.high}")
    if forecast.low is not None:
        parts.append(f"low {forecast.low}")
    return ", ".join(parts)
