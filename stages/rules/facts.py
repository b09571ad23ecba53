"""Rules on facts that code can check: the year and the clock time (`weather.py` has the forecast)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from stages.link import Link
from stages.rules.names import Names
from stages.rules.registry import rule
from stages.rules.text import NEXT_ARTIST, NEXT_TITLE, Script
from stages.speech import (
    VALUES,
    times_said,
    years_said,
)


@rule(
    "a year or decade that is not the song's, or any year where the song's is unknown",
    languages=("en",),
    subjects=("song",),
)
def year(script: Script, link: Link, options: Mapping[str, Any], names: Names) -> Iterator[str]:
    song, coming = link.song, link.next_song
    allowed = [song.year] if song.year else []
    if coming and coming.year and (NEXT_TITLE in script.masked or NEXT_ARTIST in script.masked):
        allowed.append(coming.year)
    for said in years_said(script.plain):
        if not any(said.agrees(y) for y in allowed):
            yield (
                f'states "{said.text}", but the song is from {song.year}'
                if song.year
                else f'states "{said.text}", but the song\'s year is not known: leave it out'
            )
            return


# -------------------------------------------------------------------------------------------------------------- clock

_ASSERTS = re.compile(
    r"\b(?:it's|it is|it was|time is|time's|time|now|clock\w* \w+|just gone|struck|strikes|hour is|we're at|"
    r"we are at|reads|says|that's|that was|make (?:that|it)|i mean|rather|actually|sorry|coming up (?:on|"
    r"to))(?: \w+){0,2}[ :,]*$"
)
_PLANS = re.compile(
    r"\b(?:at|by|until|till|til|before|after|from|since|for|around|between|through|to|last|next|tomorrow|yesterday|"
    r"the|your|my|our|than|about|every|a|an|since|not|no|past)\s+$"
)


@rule(
    "a time check that does not state its time, or states another one",
    languages=("en",),
    subjects=("time",),
)
def clock_time(script: Script, link: Link, options: Mapping[str, Any], names: Names) -> Iterator[str]:
    clock, plain = link.time, script.plain
    said = [
        t for t in times_said(plain) if t.form != "named" or t.agrees(clock.hour, clock.minute) or _asserted(plain, t)
    ]
    right = [t for t in said if t.agrees(clock.hour, clock.minute)]
    if not right:
        if wrong := next(iter(said), None):
            yield f'states another time, "{plain[wrong.start : wrong.end].strip()}": it is {clock.spoken}'
        elif not (clock.spoken.lower() in plain or (clock.minute == 0 and _bare_hour(clock.hour).search(plain))):
            yield f"does not state the time: it is {clock.spoken}"
        return
    for other in said:
        if other.agrees(clock.hour, clock.minute):
            continue
        text = plain[other.start : other.end].strip()
        if _asserted(plain, other) or (
            other.form in ("digital", "relative", "spelled") and not _PLANS.search(plain, 0, other.start)
        ):
            yield f'states another time as well, "{text}": it is {clock.spoken}'
            return


def _asserted(plain: str, said) -> bool:
    return said.form == "bare" or bool(_ASSERTS.search(plain, 0, said.start))


def _bare_hour(hour: int) -> re.Pattern:
    """The hour as a word or number standing alone, which will do for a full hour when nothing else is stated."""
    h = (hour % 12) or 12
    word = next(w for w, v in VALUES.items() if v == h)
    return re.compile(
        rf"\b(?:{h}|{word}{'(?! (?:of|more|thing|last|another|for|that|who))' if h == 1 else ''})\b(?![:.]\d)"
    )
