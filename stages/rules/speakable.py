"""Rules on what a voice cannot say, or should not have to."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from stages.link import Link
from stages.rules.names import Names
from stages.rules.patterns import any_of, clip
from stages.rules.registry import rule
from stages.rules.text import MARKS, Script

_ADDRESS = any_of(
    r"(?:https?|ftp)://\S+|\bwww\.\S+|[\w.+-]+@[\w-]+\.\w+",
    r"\b[\w-]+\.(?:com|net|org|fm|co\.uk|io|info|biz|tv|radio)\b(?:/\S*)?",
    flags=re.IGNORECASE,
)
_ADDRESS_HINT = re.compile(r"://|@|[A-Za-z0-9]\.[A-Za-z]")
_ODD = re.compile(rf"""[^A-Za-z0-9\s.,;:!?'"()—\-…&$£€%°{MARKS}]""")
_NOISE = any_of(
    r"(?<!\w)#(?![\d\s])\S+|@|[=^~|\\<>{}_*`]|#{2,}|[#$%&@*!?^~+]{3,}|[§©®™]",
    r"(?<!\w)[+/](?!\w)|\b[wb]/\w*|[a-z]{2,}/[a-z]{2,}",
    flags=re.IGNORECASE,
)
_RUN = re.compile(r"[!?]{4}|-{4}|([,;:'\"()&$£€%])\1{3}|[$%&]{3}")
_DIGITS = re.compile(r"\d(?:[\d ,-]*\d)?")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+")
_MIXED = re.compile(r"\b[a-z]+\d+[a-z]\w*\b|\b\d+[a-z]+\d+\w*\b")
_SAYABLE = frozenset(("mp3", "y2k", "h2o", "4x4", "2x4", "b2b"))
_CONSONANTS = re.compile(r"[bcdfghjklmnpqrstvwxz]{5,}")
_VOWELLESS = re.compile(r"\b(?![hmsrzptgkbfw]+\b)[bcdfghjklmnpqrstvwxz]{5,}\b|[bcdfghjklmnpqrstvwxz]{7,}")
_STRETCH = re.compile(r"([a-z])\1{4}")
_DRAWN_OUT = frozenset("hmsrzaow")  # "shhhhh", "brrrrr", "aaaaah" are said
_TEXTING = frozenset(
    "lol lmao rofl omg btw imho idk fyi tbh smh ftw brb wtf thx pls plz ur b4 gr8 l8r 2nite 2day cya".split()
)
_LONGEST_WORD = 28
_LONG = re.compile(rf"[^\W\d_]{{{_LONGEST_WORD + 1},}}")
_SPOKEN_MARKS = frozenset(MARKS + "°€£—…½¼¾")
_SYMBOLS = frozenset(("So", "Sm", "Sk", "Cc", "Cf", "Co", "Cn"))


@rule(
    "what a voice cannot say: addresses, hashtags, symbols, more than `digits` digits in a row, chat shorthand, "
    "key mashing, other scripts than Latin in English",
    digits=4,
)
def unspeakable(script: Script, link: Link, options: Mapping[str, Any], names: Names) -> Iterator[str]:
    masked, plain = script.masked, script.plain
    odd = _ODD.search(masked)
    m = _ADDRESS.search(masked) if _ADDRESS_HINT.search(masked) else None
    m = m or (_NOISE.search(masked) if odd else None) or _RUN.search(masked)
    if m:
        yield f'cannot be spoken: "{clip(m[0].strip() or repr(m[0]))}"'
        return
    if odd and (symbol := _symbol(masked, link.dj.language)):
        yield f'cannot be spoken: "{symbol}"'
        return
    figures = _DIGITS.findall(masked)
    for figure in figures:
        runs = figure.replace(",", "").replace("-", " ").split()
        too_long = any(len(r) > options["digits"] for r in runs) or (len(runs) > 2 and sum(map(len, runs)) > 6)
        if too_long and not _THOUSANDS.fullmatch(figure):
            yield f'has a number nobody can follow: "{clip(figure)}"'
            return
    if not link.dj.language.startswith("en"):
        return
    if figures and (m := _MIXED.search(plain)) and m[0] not in _SAYABLE:
        yield f'cannot be spoken: "{m[0]}"'
    elif chat := _TEXTING.intersection(script.tokens):
        yield f'cannot be spoken: "{sorted(chat)[0]}"'
    elif _CONSONANTS.search(plain) and (m := _VOWELLESS.search(plain)):
        yield f'cannot be spoken: "{clip(m[0])}"'
    elif (m := _STRETCH.search(plain)) and m[1] not in _DRAWN_OUT:
        yield f'cannot be spoken: "{clip(m[0])}"'
    elif len(plain) > _LONGEST_WORD and _LONG.search(masked):
        yield "has a word too long to be spoken"


def _symbol(text: str, language: str) -> str | None:
    """The first character that no voice of the language has a sound for."""
    for c in text:
        if c <= "\x7f" and c >= " " or c.isspace() or c in _SPOKEN_MARKS:
            continue
        if unicodedata.category(c) in _SYMBOLS:
            return c if c.isprintable() else repr(c)
        if language.startswith("en") and c > "\u024f" and c.isalpha() and "LATIN" not in unicodedata.name(c, ""):
            return c
    return None


_CAPS = re.compile(r"\b[A-Z][A-Z']+\b(?:[\s,!—-]+[A-Z][A-Z']*\b)*")
_CAPITALS = re.compile(r"[A-Z']{2,}")
_INITIALS = frozenset(
    "FM AM PM DJ DJS TV OK UK US USA BBC EP LP CD CDS II III IV VI GMT UTC NYC LA MC R B RSVP VIP ID".split()
)


@rule("more than `words` words in capitals in a row", words=2)
def shouting(script: Script, link: Link, options: Mapping[str, Any], names: Names) -> Iterator[str]:
    for m in _CAPS.finditer(script.masked):
        shouted = [w for w in _CAPITALS.findall(m[0]) if w.strip("'") not in _INITIALS]
        if len(shouted) > options["words"]:
            yield f'shouts: "{clip(m[0])}"'
            return
