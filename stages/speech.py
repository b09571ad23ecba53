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
    """A year as it is said: 1987 -> `nineteen eighty-seven`, 1905 -> `nineteen oh five`, 2003 -> `two thousand three`."""
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


_COUNTED = (
    r"(?!\s*-?\s*(?:miles?|people|feet|foot|times|light|watts?|copies|nights?|days?|ways|tons?|dollars|pounds|minutes?|"
    r"seconds?|hours?|degrees?|percent|per cent|years?|weeks?|steps|men|words|listeners|fans|acres|metres|meters|vision|"
    r"bucks|kilometres|kilometers|strong|seats?))"
)
_WHEN = r"(?:back in|in|of|from|since|circa|year|around|late|early|mid)"
_YEAR = re.compile(
    rf"""(?<![\d.,:$£€-])(?P<y4>1[89]\d\d|20\d\d)(?P<s4>'?s)?\b(?![\d:%]|[.,]\d){_COUNTED}
    |(?<![\w'])'(?P<y2>\d\d)(?P<s2>s)?\b
    |\b(?P<d2>[1-9]0)'?s\b
    |\b(?:nineteen[- ])?(?P<dw>{"|".join(DECADES)})\b
    |\b(?P<dk>noughties|aughts|two[- ]thousands)\b
    |\bnineteen[- ](?:(?P<h19>hundred)|(?:oh|o|zero|aught)[- ](?P<o19>{_ONE})|(?P<t19>(?:{_TEN})(?:[- ](?:{_ONE}))?|{_TEEN}))\b
    |\btwenty[- ](?:(?:oh|o)[- ](?P<o20>{_ONE})|(?P<t20>{_TEEN}|twenty[- ](?:{_ONE})|twenty))\b{_COUNTED}
    |\btwo[ -]thousand(?:[ -]and)?[ -](?P<k20>{UNDER_100})\b{_COUNTED}
    |\b{_WHEN}[ ](?P<k00>two[ -]thousand)\b(?!\s+(?:and|{_ONE}|{_TEEN}|{_TEN})\b){_COUNTED}
    |\b{_WHEN}[ ]'?(?P<w2>(?:fifty|sixty|seventy|eighty|ninety)[- ](?:{_ONE}))\b{_COUNTED}
    |\b(?:back[ ]in|(?:summer|winter|spring|autumn|fall|class)[ ]of|since|circa)[ ](?P<b2>\d\d)\b(?![:.]\d){_COUNTED}
    """,
    re.VERBOSE,
)
_HINT = re.compile(r"\d\d|nineteen|twent|ties\b|aughts|two[ -]thou|noughties|ty[- ]")
_AGE = re.compile(r"\bin (?:his|her|their|your|my|our|its)(?: \w+)? $")


def years_said(plain: str) -> Iterator[YearSaid]:
    """Years and decades in `plain` text: digits, `'87`, `'80s`, `eighties`, `nineteen eighty-seven`, `two thousand and five`."""
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
_NOW = (
    r"(?:it's|it is|it was|it's now|is now|now|just|just gone|time is|time:|time's|clock(?:s)? (?:say|says|read|reads|strike|strikes|"
    r"struck|hit|hits|show|shows|has struck|just struck)|(?:strikes|struck|stroke of|strike of)|coming up (?:on|to)|"
    r"nearly|almost|bang on|dead on|exactly|turned|gone|crept (?:up )?to|ticked (?:over|round|past) (?:to )?|straight[- ]up|hour is|hour of)"
)
_CLOCK = re.compile(
    rf"""(?<![\d:.$£€])(?P<dh>[01]?\d|2[0-3])\s?[:.h]\s?(?P<dm>[0-5]\d)(?![\d%]|[:.]\d|\s*(?:fm|mhz|degrees|percent|metres|miles))
    |(?<![\d:.])(?P<mh>[01]\d|2[0-3])(?P<mm>[0-5]\d)(?=\s*(?:hours|hrs|h\b))
    |(?<![\d:.])(?P<zh>0\d)(?P<zm>[0-5]\d)(?![\d:.]*\d)
    |(?<!from[ ])\b(?:(?P<half>half)|(?P<quarter>(?:a[ ])?quarter)|(?P<step>{_STEP}))
        (?:[- ](?:minutes?|mins?))?[- ](?P<dir>past|after|gone|to|till|til|'til|until|before|of)
        [- ](?:the[ ]hour[ ]of[ ])?(?P<rh>{_ANY_HOUR})\b(?![ ]of\b)
    |\b(?:(?P<hhour>half[ ]an[ ]hour)|(?P<qhour>(?:a[ ])?quarter[ ]of[ ]an[ ]hour)|(?P<mins>\d{{1,2}}|{UNDER_100})[- ](?:minutes?|mins?))
        [- ](?:(?P<dir2>past|after|gone|into|to|till|til|'til|until|before|from|shy[ ]of|short[ ]of|away[ ]from|ahead[ ]of|off))
        [- ](?:the[ ]hour[ ]of[ ])?(?P<rh2>{_ANY_HOUR})\b
    |\bhalf[- ](?P<gb>{_HOURS})\b
    |\b(?P<sh>{_HOURS}|1[0-2]|[1-9])[- ](?:(?:oh|o)[- ](?P<so>{_ONE})|(?P<sm>{_TEEN}|(?:twenty|thirty|forty|fifty)(?:[- ](?:{_ONE}))?))\b
        (?![- ](?:minutes?|years?|times|degrees|percent|miles|past|to|after))
    |(?<![\d:.])\b(?P<ph>1[0-2]|[1-9])[ ](?P<pm>[0-5]\d)\b(?![\d:.]\d|[ ](?:minutes?|years?|degrees|percent|miles))
    |(?<![\d:.])\b(?P<oh>\d{{1,2}}|{_HOURS})(?:[ ]?o'?[ -]?clock|[ ](?:on[ ]the[ ](?:dot|nose|clock|button)|sharp|exactly|bells|hundred[ ]hours)
        |(?=[ ]?(?:[ap]\.m\b|[ap]m\b|a\.m\.|p\.m\.|[ap][ ]m\b|in[ ]the[ ](?:morning|afternoon|evening)|at[ ]night\b)))
    |\b(?P<named>noon|midday|midnight)\b
    |\b{_NOW}[ ](?:(?:gone|past|turned|about|around|exactly|precisely|nearly|almost|just|bang[ ]on|dead[ ]on|coming[ ]up[ ](?:to|on)|on|at|only|already)[ ])*
        (?P<bare>\d{{1,2}}|{_HOURS})\b(?![.:]\d|-\w)(?=\s*(?:[.,;!?—–-]|$|in[ ]the|on[ ](?!its)|here|now\b|and\b|already|this|at\b|across|by[ ]the|down|everywhere|all[ ]over|tonight|today))
    """,
    re.VERBOSE,
)
_PART = re.compile(
    r"[ ,]{0,2}(?:(?P<m>[ap])\.?\s?m\b|(?:in the|this|of the|on a|of a|tomorrow)(?: \w+)? (?P<p>morning|afternoon|evening)|(?P<n>at night|tonight))"
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
    """Clock times in `plain` text: `7:30am`, `7.30`, `half past seven`, `half seven`, `seven-thirty`, `quarter to eight`,
    `eight o'clock`, `1930 hours`, `noon`, and a bare hour where the text says that it is one (`it's eight`)."""
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
