"""Spell out what is not a word: numbers, dates, times, money, units, abbreviations and symbols.

Numbers become words by the Unicode CLDR rules of `unicode-rbnf`, which knows every language Chatterbox speaks. English
has the full grammar below; other languages get their numbers, and a few symbols where the word is known.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

MONTHS = (
    "January February March April May June July August September October November December".split()
)  # fmt: skip
_MONTH = "|".join([*MONTHS, *(rf"{m[:3]}\.?" for m in MONTHS if m != "May"), r"Sept\.?"])
UNITS = {
    "km": "kilometers", "m": "meters", "cm": "centimeters", "mm": "millimeters", "mi": "miles", "ft": "feet",
    "kg": "kilograms", "g": "grams", "lb": "pounds", "lbs": "pounds", "oz": "ounces", "mph": "miles an hour",
    "km/h": "kilometers an hour", "kph": "kilometers an hour", "kHz": "kilohertz", "MHz": "megahertz", "Hz": "hertz",
    "min": "minutes", "mins": "minutes", "sec": "seconds", "secs": "seconds", "hr": "hours", "hrs": "hours",
    "hPa": "hectopascals", "mb": "millibars", "kW": "kilowatts", "bpm": "beats a minute",
}  # fmt: skip
MONEY = {
    "$": ("dollar", "dollars", "cent", "cents"), "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"), "¥": ("yen", "yen", "sen", "sen"),
}  # fmt: skip
ABBREVIATIONS = {
    "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Dr": "Doctor", "Prof": "Professor", "Rev": "Reverend",
    "Sgt": "Sergeant", "Lt": "Lieutenant", "Capt": "Captain", "Gov": "Governor", "Sen": "Senator", "Jr": "Junior",
    "Sr": "Senior", "Mt": "Mount", "Ft": "Fort", "feat": "featuring", "ft": "featuring", "vs": "versus",
    "etc": "et cetera", "approx": "approximately", "Ave": "Avenue", "Blvd": "Boulevard", "Rd": "Road",
    "dept": "department",
}  # fmt: skip
_SYMBOLS = {  # and, percent, degrees
    "en": ("and", "percent", "degrees"), "de": ("und", "Prozent", "Grad"), "fr": ("et", "pour cent", "degrés"),
    "es": ("y", "por ciento", "grados"), "it": ("e", "per cento", "gradi"), "pt": ("e", "por cento", "graus"),
    "nl": ("en", "procent", "graden"), "sv": ("och", "procent", "grader"), "da": ("og", "procent", "grader"),
    "no": ("og", "prosent", "grader"), "fi": ("ja", "prosenttia", "astetta"), "pl": ("i", "procent", "stopni"),
}  # fmt: skip
_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_FREE = r"(?<![\w.,])"  # not in the middle of a word or number


@functools.lru_cache(maxsize=32)
def _engine(language: str):
    from unicode_rbnf import RbnfEngine

    return RbnfEngine.for_language(language)


def speaks(language: str) -> bool:
    """Whether numbers can be spelled out in `language` (its code without region)."""
    try:
        _engine(language)
    except Exception:  # the library names no error of its own
        return False
    return True


def cardinal(number: str | int, language: str = "en") -> str:
    """`3.50` as "three point five zero"."""
    return _engine(language).format_number(str(number).replace(",", "")).text


def ordinal(number: int, language: str = "en") -> str:
    """`22` as "twenty-second"."""
    return _spell(number, "ORDINAL", language)


def year(number: int, language: str = "en") -> str:
    """`1987` as "nineteen eighty-seven"."""
    return _spell(number, "YEAR", language)


def _spell(number: int, purpose: str, language: str) -> str:
    from unicode_rbnf import FormatPurpose

    return _engine(language).format_number(number, purpose=FormatPurpose[purpose]).text


def spell_out(text: str, language: str = "en") -> str:
    """`text` with everything that is not a word spelled out, as far as `language` allows.

    Args:
        language: BCP 47 tag; only its first part counts. English has the full grammar.
    """
    language = language.lower().replace("_", "-").split("-")[0]
    if language == "en":
        return english(text)
    return _elsewhere(text, language) if speaks(language) else text


def english(text: str) -> str:
    """The full grammar; rules run from the most specific to plain numbers."""
    for pattern, spoken in _english_rules():
        text = pattern.sub(spoken, text)
    return re.sub(r"[ \t]{2,}", " ", text)


def _elsewhere(text: str, language: str) -> str:
    """Numbers and a few symbols of another language; the comma is the decimal sign in most of them."""
    join, percent, degrees = _SYMBOLS.get(language, ("", "", ""))
    for sign, word in (("&", join), ("%", percent), ("°", degrees)):
        if word:
            text = re.sub(rf"\s*{sign}(?:[CF]\b)?", f" {word}", text)
    text = re.sub(r"(?<=\d)[.\u00a0\u202f](?=\d{3}(?!\d))", "", text)  # thousands
    text = re.sub(r"(?<=\d):(?=\d\d)", " ", text)

    def number(m: re.Match[str]) -> str:
        # Digits that belong to a word ("U2", a Mandarin measure word aside) are a name's business.
        return cardinal(m[0].replace(",", "."), language)

    spaced = language not in ("zh", "ja", "ko")
    pattern = r"(?<![A-Za-z\d])\d+(?:[.,]\d+)?(?![A-Za-z\d])" if spaced else r"\d+(?:\.\d+)?"
    return re.sub(r"[ \t]{2,}", " ", re.sub(pattern, number, text))


def _clock(m: re.Match[str]) -> str:
    hour, minute = int(m["hour"]), int(m["minute"] or 0)
    half = (m["half"] or "").replace(".", "").replace(" ", "").upper()
    if hour > 24 or minute > 59:
        return m[0]
    if half and minute == 0:
        return f"{cardinal(hour)} {half}"
    if minute == 0:
        return f"{cardinal(hour)} o'clock" if 0 < hour <= 12 else f"{cardinal(hour)} hundred hours"
    words = f"oh {cardinal(minute)}" if minute < 10 else cardinal(minute)
    return " ".join(filter(None, (cardinal(hour), words, half)))


def _date(m: re.Match[str]) -> str:
    day = int(m["day"])
    if not 1 <= day <= 31:
        return m[0]
    month = next(full for full in MONTHS if full[:3] == m["month"][:3])
    when = f", {year(int(m['year']))}" if m["year"] else ""
    return f"{month} {ordinal(day)}{when}"


def _iso_date(m: re.Match[str]) -> str:
    month, day = int(m[2]), int(m[3])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return m[0]
    return f"{MONTHS[month - 1]} {ordinal(day)}, {year(int(m[1]))}"


def _decade(m: re.Match[str]) -> str:
    century, tens = m[1] or "", int(m[2])
    if tens == 0:
        return f"{year(int(century + '00'))}s" if century else m[0]
    words = f"{cardinal(tens)[:-1]}ies"
    return f"{cardinal(century)} {words}" if century else words


def _money(m: re.Match[str]) -> str:
    one, many, cent, cents = MONEY[m["sign"]]
    whole, _, part = m["amount"].replace(",", "").partition(".")
    if m["scale"]:
        return f"{cardinal(m['amount'])} {m['scale']} {many}"
    words = [f"{cardinal(whole)} {one if whole == '1' else many}"] if int(whole) or not part else []
    if part and int(part):
        small = int(part.ljust(2, "0")[:2])
        words.append(f"{cardinal(small)} {cent if small == 1 else cents}")
    return " and ".join(words) or f"zero {many}"


def _unit(m: re.Match[str]) -> str:
    words = UNITS[m[2]]
    if m[1] == "1":
        words = re.sub(r"^(\w+?)s\b", r"\1", words).replace("feet", "foot")
    return f"{cardinal(m[1])} {words}"


def _digits(text: str) -> str:
    return ", ".join(" ".join("oh" if d == "0" else cardinal(d) for d in part) for part in re.findall(r"\d+", text))


def _degrees(m: re.Match[str]) -> str:
    scale = {"C": " Celsius", "F": " Fahrenheit"}.get(m[3] or "", "")
    minus = "minus " if m[1] else ""
    return f"{minus}{cardinal(m[2])} {'degree' if m[2] == '1' else 'degrees'}{scale}"


@functools.cache
def _english_rules() -> list[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]]:
    clock = r"(?<![\w.,])(?P<hour>\d{1,2})(?:[:.](?P<minute>\d\d))?\s?(?P<half>(?i:[ap]\.?\s?m\b\.?))"
    in_year = r"(?:,?\s+(?P<year>1\d{3}|20\d\d)\b)?"
    units = "|".join(sorted(map(re.escape, UNITS), key=len, reverse=True))
    rules: list[tuple[str, str | Callable[[re.Match[str]], str], int]] = [
        (r"\bhttps?://(?:www\.)?|\bwww\.", "", re.I),
        (r"\b([\w-]+)\.(com|org|net|fm|uk|io|radio)\b(?!\.\w)", r"\1 dot \2", re.I),
        # A full stop that also ends the sentence is given back.
        (rf"{clock}(?=\s+[A-Z\"]|\s*$)", lambda m: _clock(m) + ("." if m["half"].endswith(".") else ""), re.M),
        (clock, _clock, 0),
        (rf"{_FREE}(?P<hour>\d{{1,2}}):(?P<minute>\d\d)(?![\d:])(?P<half>)", _clock, 0),
        (rf"{_FREE}(\d{{4}})-(\d\d)-(\d\d)\b", _iso_date, 0),
        (rf"\b(?P<month>{_MONTH})\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\b{in_year}", _date, 0),
        (rf"{_FREE}(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<month>{_MONTH})(?!\w){in_year}", _date, 0),
        (rf"{_FREE}(?:\(\d{{3}}\)\s?|\d{{3}}[-.])?\d{{3}}[-.]\d{{4}}\b", lambda m: _digits(m[0]), 0),
        (r"(?<=\d)\s?[-–—]\s?(?=\d)", " to ", 0),
        (r"(?<![\w.])['’]?(1[1-9]|20)?(\d0)['’]?s\b", _decade, 0),
        (rf"(?P<sign>[$£€¥])\s?(?P<amount>{_NUMBER})(?:\s?(?P<scale>hundred|thousand|million|billion|trillion)\b)?",
         _money, 0),
        (rf"{_FREE}([-−])?({_NUMBER})\s?°(?:\s?([CF])\b)?", _degrees, 0),
        (rf"{_FREE}({_NUMBER})\s?%", lambda m: f"{cardinal(m[1])} percent", 0),
        (rf"{_FREE}({_NUMBER})\s?({units})\b(?!['’])", _unit, 0),
        (rf"{_FREE}(\d+)(?:st|nd|rd|th)\b", lambda m: ordinal(int(m[1])), re.I),
        (r"(?:\b[Nn]o\.\s?|\B#)(?=\d)", "number ", 0),
        (rf"{_FREE}24/7\b", "twenty-four seven", 0),
        (rf"{_FREE}1/2\b|½", "one half", 0),
        (rf"{_FREE}1/4\b|¼", "one quarter", 0),
        (rf"{_FREE}3/4\b|¾", "three quarters", 0),
        (rf"{_FREE}(1[1-9]\d\d|20\d\d)(?![\w,]*\d)(?!\.\d)\b", lambda m: year(int(m[1])), 0),
        (rf"(?<![\w.,])[-−](?={_NUMBER})", "minus ", 0),
        (rf"{_FREE}({_NUMBER})(?!\w)(?!\.\d)", lambda m: cardinal(m[1]), 0),
        (r"(\w+\s+)?\bSt\.(?=\s+[A-Z])", _saint_or_street, 0),
        (r"\bSt\.(?=[,.!?]|\s|$)", "Street", 0),
        (rf"\b({'|'.join(ABBREVIATIONS)})\.(?=\s+[A-Z\"“]|\s*$)", _before_capital, re.M),
        (rf"\b({'|'.join(ABBREVIATIONS)})\.", lambda m: ABBREVIATIONS[m[1]], 0),
        (r"\be\.g\.,?", "for example,", re.I),
        (r"\bi\.e\.,?", "that is,", re.I),
        (r"\bw/o\b", "without", 0),
        (r"\bw/(?=\s|\w)", "with ", 0),
        (r"\s*&\s*", " and ", 0),
        (r"\s*\+\s*(?=\w)", " plus ", 0),
        (r"(?<=\w)\s*=\s*(?=\w)", " equals ", 0),
        (r"(?<=\w)@(?=\w)", " at ", 0),
        (r"(?<=[A-Za-z])/(?=[A-Za-z])", " ", 0),
        (r"[*_`~^|<>{}\\]+", "", 0),
        ("[\u2600-\u27bf\u2b50\U0001f000-\U0001faff\ufe0f\u200d]", "", 0),
    ]  # fmt: skip
    return [(re.compile(pattern, flags), spoken) for pattern, spoken, flags in rules]


def _saint_or_street(m: re.Match[str]) -> str:
    """Between two capitals: "Main St. Next" is a street at a sentence's end, "On St. Anne" a saint."""
    before = (m[1] or "").strip()
    small = ("On", "At", "In", "From", "The", "And", "To", "By", "Near", "Past", "With", "For", "Of")
    return f"{m[1]}Street." if before[:1].isupper() and before not in small else f"{m[1] or ''}Saint"


def _before_capital(m: re.Match[str]) -> str:
    """A title goes before a name and swallows its stop ("Dr. Who"); "etc." there ends the sentence."""
    spoken = ABBREVIATIONS[m[1]]
    ends = m[1] in ("etc", "Jr", "Sr", "Ave", "Blvd", "Rd", "dept", "approx")
    return spoken + "." if ends else spoken
