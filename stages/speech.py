"""How numbers, years and clock times are said aloud in English: from text to values and back.

All readers take *plain* text: lower case, straight quotes (`rules.text.Script.plain` is that). They report what a
listener would understand, wherever it stands; whether it is right is for the rules to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

ONES = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TEENS = (
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
VALUES = {
    "zero": 0,
    **{w: i for i, w in enumerate(ONES, 1)},
    **{w: i for i, w in enumerate(TEENS, 10)},
    **{w: i * 10 for i, w in enumerate(TENS, 2)},
}
DECADES = {w[:-1] + "ies": v for w, v in VALUES.items() if w in TENS}

_ONE, _TEEN, _TEN = "|".join(ONES), "|".join(TEENS), "|".join(TENS)
UNDER_100 = rf"(?:(?:{_TEN})(?:[- ](?:{_ONE}))?|{_TEEN}|zero|{_ONE})"


def words_to_number(words: str) -> int:
    """Value of a spelled number under 100: `twenty-five` -> 25.

    Raises:
        KeyError: if a word is none of a number.
    """
    return sum(VALUES[w] for w in re.split(r"[-\s]+", words.strip()))


def number_to_words(n: int) -> str:
    """Words of a number from 0 to 9999 as it is read out: 45 -> `forty-five`, 1200 -> `one thousand two hundred`.

    Raises:
        ValueError: if `n` is out of that range.
    """
    if not 0 <= n <= 9999:
        raise ValueError(f"{n} is not between 0 and 9999")
    if n == 0:
        return "zero"
    parts = []
    if n >= 1000:
        parts.append(ONES[n // 1000 - 1] + " thousand")
    if n % 1000 >= 100:
        parts.append(ONES[n % 1000 // 100 - 1] + " hundred")
    if rest := n % 100:
        if rest < 10:
            parts.append(ONES[rest - 1])
        elif rest < 20:
            parts.append(TEENS[rest - 10])
        else:
            parts.append(TENS[rest // 10 - 2] + (f"-{ONES[rest % 10 - 1]}" if rest % 10 else ""))
    return " ".join(parts)


def year_to_words(year: int) -> str:
    """A year as it is said: 1987 -> `nineteen eighty-seven`, 1905 -> `nineteen oh five`, 2003 -> `two thousand
    three`."""
    if 2000 <= year <= 2009 or not 1000 < year <= 9999 or year % 1000 == 0:
        return number_to_words(year)
    head, tail = divmod(year, 100)
    if tail == 0:
        return f"{number_to_words(head)} hundred"
    return f"{number_to_words(head)} {'oh ' if tail < 10 else ''}{number_to_words(tail)}"


# ---------------------------------------------------------------------------------------------------- years


@dataclass(frozen=True, slots=True)
class YearSaid:
    """A year or decade in a text.

    Attributes:
        value: the year, or the decade's first year; below 100 where the century was not said.
        decade: whether a whole decade is meant.
        text: the words themselves.
        start: where they start.
    """

    value: int
    decade: bool
    text: str
    start: int

    def agrees(self, year: int) -> bool:
        """Whether a song of `year` may be spoken of like this."""
        if self.decade:
            year = year // 10 * 10
        return (year % 100 if self.value < 100 else year) == self.value


def _any_of(*phrases: str) -> re.Pattern:
    return re.compile("|".join(phrases))


_COUNTED = (  # what follows a number that counts things and is no year
    r"(?!\s*-?\s*(?:miles?|people|feet|foot|times|light|watts?|copies|nights?|days?|ways|tons?|dollars|pounds|minutes?|"
    r"seconds?|hours?|degrees?|percent|per cent|years?|weeks?|steps|men|words|listeners|fans|acres|metres|meters|"
    r"vision|"
    r"bucks|kilometres|kilometers|strong|seats?))"
)
_WHEN = r"(?:back in|in|of|from|since|circa|year|around|late|early|mid)"
_YEAR = _any_of(
    rf"(?<![\d.,:$£€-])(?P<y4>1[89]\d\d|20\d\d)(?P<s4>'?s)?\b(?![\d:%]|[.,]\d){_COUNTED}",  # 1987, 1980s
    r"(?<![\w'])'(?P<y2>\d\d)(?P<s2>s)?\b",  # '87, '80s
    r"\b(?P<d2>[1-9]0)'?s\b",  # 80s
    rf"\b(?:nineteen[- ])?(?P<dw>{'|'.join(DECADES)})\b",  # eighties
    r"\b(?P<dk>noughties|aughts|two[- ]thousands)\b|\btwenty[- ](?P<dt>tens|teens|twenties)\b",
    r"\bnineteen[- ](?P<h19>hundred)",
    rf"\bnineteen[- ](?:oh|o|zero|aught)[- ](?P<o19>{_ONE})",
    rf"\bnineteen[- ](?P<t19>(?:{_TEN})(?:[- ](?:{_ONE}))?|{_TEEN})\b",  # nineteen eighty-seven
    rf"\btwenty[- ](?:(?:oh|o)[- ](?P<o20>{_ONE})|(?P<t20>{_TEEN}|twenty[- ](?:{_ONE})|twenty))\b{_COUNTED}",
    rf"\btwo[ -]thousand(?:[ -]and)?[ -](?P<k20>{UNDER_100})\b{_COUNTED}",
    rf"\b{_WHEN} (?P<k00>two[ -]thousand)\b(?!\s+(?:and|{_ONE}|{_TEEN}|{_TEN})\b){_COUNTED}",
    rf"\b{_WHEN} '?(?P<w2>(?:fifty|sixty|seventy|eighty|ninety)[- ](?:{_ONE}))\b{_COUNTED}",  # summer of sixty-nine
    rf"\b(?:back in|(?:summer|winter|spring|autumn|fall|class) of|since|circa) (?P<b2>\d\d)\b(?![:.]\d){_COUNTED}",
)
_HINT = re.compile(r"\d\d|nineteen|twent|ties\b|aughts|two[ -]thou|noughties|ty[- ]")
_AGE = re.compile(r"\bin (?:his|her|their|your|my|our|its)(?: \w+)? $")


def years_said(plain: str) -> Iterator[YearSaid]:
    """Years and decades in `plain` text: digits, `'87`, `'80s`, `eighties`,
    `nineteen eighty-seven`, `two thousand and five`."""
    if not _HINT.search(plain):
        return
    for m in _YEAR.finditer(plain):
        kind, said = m.lastgroup, m.groupdict()
        if kind in ("y4", "s4"):
            value, decade = int(said["y4"]), bool(said["s4"])
        elif kind in ("y2", "s2"):
            value, decade = int(said["y2"]), bool(said["s2"])
        elif kind == "d2":
            value, decade = int(said["d2"]), True
        elif kind == "dw":
            value, decade = (
                DECADES[said["dw"]] + (1900 if m[0].startswith("nineteen") else 0),
                True,
            )
        elif kind == "dk":
            value, decade = 2000, True
        elif kind == "dt":
            value, decade = 2020 if said["dt"] == "twenties" else 2010, True
        elif kind in ("h19", "o19", "t19"):
            value, decade = (
                1900 + (0 if kind == "h19" else words_to_number(said[kind])),
                False,
            )
        elif kind in ("o20", "t20", "k20"):
            value, decade = 2000 + words_to_number(said[kind]), False
        elif kind == "k00":
            value, decade = 2000, False
        else:
            value, decade = (
                int(said["b2"]) if kind == "b2" else words_to_number(said["w2"]),
                False,
            )
        if decade and _AGE.search(plain, 0, m.start()):
            continue  # "in her thirties" is an age
        yield YearSaid(value, decade, m[0], m.start())


# ---------------------------------------------------------------------------------------------------- clock


@dataclass(frozen=True, slots=True)
class TimeSaid:
    """A clock time in a text.

    Attributes:
        minutes: since midnight (or noon: unless `exact`, the half of the day is not known).
        exact: whether the half of the day was said by the number itself (`19:30`, `midnight`).
        part: `am`, `pm`, `morning`, `afternoon`, `evening`, `night`, or "" where not said.
        form: `digital`, `relative`, `spelled`, `hour`, `named`, `bare`.
        start, end: where it stands.
    """

    minutes: int
    exact: bool
    part: str
    form: str
    start: int
    end: int

    def agrees(self, hour: int, minute: int) -> bool:
        """Whether this is the time `hour:minute` (24 h), as far as it was said."""
        target = hour * 60 + minute
        if (self.minutes != target) if self.exact else (self.minutes - target) % 720:
            return False
        return not self.part or _PARTS[self.part](target)


_PARTS = {
    "am": lambda t: t < 720,
    "pm": lambda t: t >= 720,
    "morning": lambda t: t < 720,
    "afternoon": lambda t: 720 <= t < 1140,
    "evening": lambda t: t >= 960,
    "night": lambda t: t >= 1020 or t < 300,
}
_HOURS = "|".join((*ONES, "ten", "eleven", "twelve"))
_ANY_HOUR = rf"(?:\d{{1,2}}(?![\d:.]\d|\d)|{_HOURS}|noon|midday|midnight)"
_STEP = r"(?:five|ten|twenty[- ]five|twenty|5|10|20|25)"
_NOW = (  # after these a bare number is the hour
    r"(?:it's|it is|it was|it's now|is now|now|just|just gone|time is|time:|time's|clocks? (?:say|read|strike|hit|"
    r"show)s?|"
    r"clocks? (?:has |have |just )?struck|strikes|struck|stroke of|strike of|coming up (?:on|to)|nearly|almost|bang on|"
    r"dead on|exactly|turned|gone|crept (?:up )?to|ticked (?:over|round|past)(?: to)?|straight[- ]up|hour is|hour of)"
)
_WARM_UP = (
    r"(?:(?:gone|past|turned|about|around|exactly|precisely|nearly|almost|just|bang on|dead on|coming up (?:to|on)|"
    r"on|at|"
    r"only|already) )*"
)
_CLOCK = _any_of(
    r"(?<![\d:.$£€])(?P<dh>[01]?\d|2[0-3])\s?[:.h]\s?(?P<dm>[0-5]\d)"
    r"(?![\d%]|[:.]\d|\s*(?:fm|mhz|degrees|percent|metres|miles))",  # 7:30, 7.30
    r"(?<![\d:.])(?P<mh>[01]\d|2[0-3])(?P<mm>[0-5]\d)(?=\s*(?:hours|hrs|h\b))|"
    r"(?<![\d:.])(?P<zh>0\d)(?P<zm>[0-5]\d)(?![\d:.]*\d)",
    rf"(?<!from )\b(?:(?P<half>half)|(?P<quarter>(?:a )?quarter)|(?P<step>{_STEP}))(?:[- ](?:minutes?|mins?))?[- ]"
    rf"(?P<dir>past|after|gone|to|till|til|'til|until|before|of)[- ](?:the hour of )?(?P<rh>{_ANY_HOUR})\b(?! of\b)",
    rf"\b(?:(?P<hhour>half an hour)|(?P<qhour>(?:a )?quarter of an hour)|(?P<mins>\d{{1,2}}|"
    rf"{UNDER_100})[- ](?:minutes?|mins?))"
    r"[- ](?P<dir2>past|after|gone|into|to|till|til|'til|until|before|from|shy of|short of|away from|ahead of|off)"
    rf"[- ](?:the hour of )?(?P<rh2>{_ANY_HOUR})\b",
    rf"\bhalf[- ](?P<gb>{_HOURS}|1[0-2]|[1-9])\b(?![:.]\d)",  # half seven, as said in Britain
    rf"\b(?P<sh>{_HOURS}|1[0-2]|[1-9])[- ](?:(?:oh|o)[- ](?P<so>{_ONE})|"
    rf"(?P<sm>{_TEEN}|(?:twenty|thirty|forty|fifty)(?:[- ](?:{_ONE}))?))\b"
    r"(?![- ](?:minutes?|years?|times|degrees|percent|miles|past|to|after))",  # seven thirty
    rf"\b(?P<lh>thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|twenty(?:[- ](?:one|two|three))?)[- ]"
    rf"(?:(?P<l00>hundred)|(?:oh|o)[- ](?P<lo>{_ONE})|"
    rf"(?P<lm>{_TEEN}|(?:twenty|thirty|forty|fifty)(?:[- ](?:{_ONE}))?))\b",
    r"(?<![\d:.])\b(?P<ph>1[0-2]|[1-9]) (?P<pm>[0-5]\d)\b(?![:.]\d| (?:minutes?|years?|degrees|percent|miles))",
    rf"(?<![\d:.])\b(?P<oh>\d{{1,2}}|{_HOURS})(?: ?o'?[ -]?clock|"
    r" (?:on the (?:dot|nose|clock|button)|sharp|exactly|bells|hundred hours)|"
    r"(?= ?(?:[ap]\.m\b|[ap]m\b|[ap] m\b|in the (?:morning|afternoon|evening)|at night\b)))",  # seven o'clock, 7 am
    r"\b(?P<named>noon|midday|midnight)\b",
    rf"\b{_NOW} {_WARM_UP}(?P<bare>\d{{1,2}}|{_HOURS})\b(?![.:]\d|-\w)"
    r"(?=\s*(?:[.,;!?—–-]|$|in the|on (?!its)|here|now\b|and\b|already|this|at\b|across|by the|down|everywhere|"
    r"all over|tonight|today))",
)
_PART = re.compile(
    r"[ ,]{0,2}(?:(?P<m>[ap])\.?\s?m\b|"
    r"(?:in the|this|of the|on a|of a|tomorrow)(?: \w+)? (?P<p>morning|afternoon|evening)|(?P<n>at night|tonight))"
)
_TO = (
    "to",
    "till",
    "til",
    "'til",
    "until",
    "before",
    "of",
    "from",
    "shy of",
    "short of",
    "away from",
    "ahead of",
    "off",
)


def _hour(word: str) -> int:
    """Hour of a clock word: noon and midnight are 12 on the dial."""
    return 12 if word in ("noon", "midday", "midnight") else int(word) if word.isdigit() else VALUES[word]


def times_said(plain: str) -> Iterator[TimeSaid]:
    """Clock times in `plain` text: `7:30am`, `7.30`, `half past seven`, `half seven`, `seven-thirty`,
    `quarter to eight`, `eight o'clock`, `1930 hours`, `noon`, and a bare hour where the text says that it is one
    (`it's eight`)."""
    for m in _CLOCK.finditer(plain):
        g, exact = m.groupdict(), False
        if g["dh"]:
            h, mi, form = int(g["dh"]), int(g["dm"]), "digital"
        elif g["mh"] or g["zh"]:
            h, mi, form = int(g["mh"] or g["zh"]), int(g["mm"] or g["zm"]), "digital"
        elif g["dir"] or g["dir2"]:
            if g["dir"]:
                step, way, word = g["step"], g["dir"], g["rh"]
                mi = 30 if g["half"] else 15 if g["quarter"] else int(step) if step.isdigit() else words_to_number(step)
            else:
                n, way, word = g["mins"], g["dir2"], g["rh2"]
                mi = 30 if g["hhour"] else 15 if g["qhour"] else int(n) if n.isdigit() else words_to_number(n)
            h, form = _hour(word), "relative"
            exact = word in ("noon", "midday", "midnight")
            if exact:
                h = 0 if word == "midnight" else 12
            if way in _TO:
                h, mi = h - (1 if mi else 0), (60 - mi) % 60
        elif g["gb"]:
            h, mi, form = _hour(g["gb"]), 30, "spelled"
        elif g["sh"]:
            h, mi, form = _hour(g["sh"]), words_to_number(g["so"] or g["sm"]), "spelled"
        elif g["lh"]:
            h, mi, form = words_to_number(g["lh"]), 0 if g["l00"] else words_to_number(g["lo"] or g["lm"]), "spelled"
        elif g["ph"]:
            h, mi, form = int(g["ph"]), int(g["pm"]), "spelled"
        elif g["named"]:
            h, mi, form, exact = (
                (0 if g["named"] == "midnight" else 12),
                0,
                "named",
                True,
            )
        else:
            h, mi, form = _hour(g["oh"] or g["bare"]), 0, "hour" if g["oh"] else "bare"
        if h > 23:
            continue
        exact = exact or h > 12 or (form == "digital" and m[0].startswith("00"))
        after = _PART.match(plain, m.end())
        part = ""
        if after:
            part = f"{after['m']}m" if after["m"] else after["p"] or "night"
        yield TimeSaid((h * 60 + mi) % 1440, exact, part, form, m.start(), m.end())
