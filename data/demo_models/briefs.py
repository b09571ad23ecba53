"""Labelled briefs: the facts a production prompt ends with, drawn at random, and the prompt a model makes of them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from data.demo_models.grammar import word_list
from data.demo_models.names import Names

LABELS = ("Task", "DJ", "Title", "Artist", "Year", "Themes", "Next", "Time", "Period", "Conditions", "High", "Low")
TEMPLATE = Path(__file__).parent / "chat_template.jinja"
KINDS = ("intro", "outro", "time", "weather")
DJS = ("marlow", "dot")

_ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()  # noqa: E501
_TENS = "zero ten twenty thirty forty fifty sixty seventy eighty ninety".split()
_DECADES = "hundreds tens twenties thirties forties fifties sixties seventies eighties nineties".split()


def number_words(n: int) -> str:
    """0 to 99 in words."""
    return _ONES[n] if n < 20 else _TENS[n // 10] + (f"-{_ONES[n % 10]}" if n % 10 else "")


def year_words(year: int) -> str:
    """A year as it is spoken, 1900 to 2099."""
    century, rest = divmod(year, 100)
    if 2000 <= year < 2010:
        return "two thousand" + (f" and {number_words(rest)}" if rest else "")
    return f"{number_words(century)} " + (
        "hundred" if not rest else f"oh {_ONES[rest]}" if rest < 10 else number_words(rest)
    )


def decade_words(year: int) -> str | None:
    """The decade's common name; None where it would be misunderstood."""
    if 1930 <= year < 2000:
        return f"the {_DECADES[year % 100 // 10]}"
    return "the two thousands" if 2000 <= year < 2010 else "the twenty tens" if 2010 <= year < 2020 else None


def part_of_day(hour: int) -> str:
    """morning, afternoon, evening or night; `hour` 0 to 23."""
    return "night" if hour < 5 or hour >= 21 else "morning" if hour < 12 else "afternoon" if hour < 17 else "evening"


def brief_text(brief: Mapping[str, str]) -> str:
    """The labelled lines."""
    return "\n".join(f"@{label}: {value}" for label, value in brief.items())


@lru_cache
def _template():
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    # the same switches as transformers' apply_chat_template
    return ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(TEMPLATE.read_text("utf-8"))


def model_prompt(brief: Mapping[str, str]) -> str:
    """What the chat template leaves of a prompt that ends with `brief`."""
    return _template().render(messages=[{"role": "user", "content": brief_text(brief)}], add_generation_prompt=True)


class Briefs:
    """Draws briefs whose facts look like a station's, with the freedom real stations take.

    Args:
        names: where titles, artists and made-up words come from.
        odd_periods: share of forecasts for a time of made-up words.
    """

    def __init__(self, names: Names, odd_periods: float = 0.06):
        self.names, self.odd_periods = names, odd_periods

    def draw(self, rng: random.Random, kind: str, dj: str) -> dict[str, str]:
        """Labels of a brief up to and including the facts (no Words, Avoid or Script)."""
        brief = {"Task": kind, "DJ": dj}
        subject = kind if kind in KINDS else rng.choice((*KINDS, "other", "other"))
        if subject in ("intro", "outro"):
            brief["Title"], brief["Artist"] = self.names.title(rng), self.names.artist(rng)
            if rng.random() < 0.7:
                brief["Year"] = str(rng.randint(1950, 2026) if rng.random() < 0.9 else rng.randint(1905, 1949))
            if rng.random() < 0.75:
                brief["Themes"] = self._themes(rng)
            if subject == "outro" and rng.random() < 0.65:
                brief["Next"] = f"{self.names.title(rng)} by {self.names.artist(rng)}"
        elif subject == "time":
            brief["Time"] = self._time(rng)
        elif subject == "weather":
            brief |= self._weather(rng)
        return brief

    def _themes(self, rng: random.Random) -> str:
        def one() -> str:
            draw = rng.random()
            if draw < 0.45:
                return rng.choice(word_list("shared", "themes"))
            adjective = rng.choice(word_list("shared", "theme_adjectives"))
            noun = rng.choice(word_list("shared", "theme_nouns"))
            if draw < 0.6:
                return f"{adjective} {noun}"
            if draw < 0.8:
                return rng.choice(word_list("names", rng.choice(("nouns", "verbs", "animals")), " ")).lower()
            return self.names.phrase(rng, rng.choice((1, 1, 2, 3)))

        return ", ".join(dict.fromkeys(one() for _ in range(rng.choice((1, 2, 2, 3, 3, 4, 5)))))

    @staticmethod
    def _time(rng: random.Random) -> str:
        hour = rng.randrange(24)
        minute = rng.choice((0, 30, 0, 30, 15, 45, rng.randrange(60)))
        if rng.random() < 0.25:
            return f"{hour:02}:{minute:02}"
        suffix = rng.choice(("AM/PM", "AM/PM", "AM/PM", "am/pm", "a.m./p.m.")).split("/")[hour >= 12]
        return f"{hour % 12 or 12}:{minute:02} {suffix}"

    def _weather(self, rng: random.Random) -> dict[str, str]:
        sky = rng.choice(word_list("shared", "sky"))
        if rng.random() < 0.2:
            sky = self.names.phrase(rng, rng.choice((1, 2, 3)))
        if rng.random() < 0.5:
            more = word_list("shared", "sky_then") if rng.random() < 0.7 else word_list("shared", "sky")
            sky += rng.choice((", ", ", ", " and ")) + rng.choice([other for other in more if other != sky])
        facts = {"Period": rng.choice(word_list("shared", "periods")), "Conditions": sky.replace("and and", "and")}
        if rng.random() < self.odd_periods:
            facts["Period"] = self.names.phrase(rng, 2)
        low = rng.randint(-15, 30) if rng.random() < 0.7 else rng.randint(20, 80)
        have = rng.choice(("both", "both", "both", "both", "high", "low", "none"))
        if have in ("both", "high"):
            facts["High"] = str(low + rng.randint(1, 15))
        if have in ("both", "low"):
            facts["Low"] = str(low)
        return facts


def grammar_facts(brief: Mapping[str, str], rng: random.Random) -> dict[str, str]:
    """The facts of `brief` by the names grammar lines use, with their spoken forms; themes in random order."""
    plain = {"Title": "title", "Artist": "artist", "Next": "next", "Period": "period", "Conditions": "conditions",
             "High": "high", "Low": "low", "Time": "time"}  # fmt: skip
    facts = {name: brief[label] for label, name in plain.items() if label in brief}
    if year := brief.get("Year"):
        facts |= {"year": year, "year_words": year_words(int(year))}
        if decade := decade_words(int(year)):
            facts["decade"] = decade
    if themes := brief.get("Themes"):
        for name, theme in zip(
            ("theme", "theme2"), rng.sample(themes.split(", "), len(themes.split(", "))), strict=False
        ):
            facts[name] = theme
    if clock := brief.get("Time"):
        hour = int(clock.split(":")[0])
        half = clock.lower().replace(".", "")[-2:]
        facts["part"] = part_of_day(hour % 12 + 12 * (half == "pm") if half in ("am", "pm") else hour)
    return facts
