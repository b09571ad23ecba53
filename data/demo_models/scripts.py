"""Scripts for briefs: which of a voice's shapes fits the facts, what a good script avoids, how long it came out."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from functools import lru_cache

from data.demo_models.briefs import DJS, grammar_facts
from data.demo_models.grammar import Grammar

Spans = list[tuple[int, int]]


@lru_cache
def grammar_of(dj: str) -> Grammar:
    """The grammar a DJ speaks by; DJs the models were never told about share a plain one."""
    return Grammar(dj if dj in DJS else "neutral")


def subject_of(brief: Mapping[str, str]) -> str:
    """The kind of script the brief's facts call for, whatever its task is called."""
    if brief["Task"] in ("intro", "outro"):
        return brief["Task"]
    if "Title" in brief:
        return "outro" if "Next" in brief else "intro"
    return "time" if "Time" in brief else "weather" if "Period" in brief else "other"


def _rule(kind: str, facts: Mapping[str, str], rng: random.Random) -> str:
    if kind == "weather" and not ({"high", "low"} & facts.keys()):
        return "weather_plain"
    if kind not in ("intro", "outro"):
        return kind
    parts = [kind]
    if kind == "outro" and "next" in facts and rng.random() < 0.97:
        parts.append("next")
    year = "year" in facts and rng.random() < 0.45
    themes = "theme" in facts and rng.random() < 0.85
    if kind == "intro":
        parts += ["year"] * year + ["themes"] * themes
    elif themes and not (year and rng.random() < 0.4):
        parts.append("themes")
    elif year:
        parts.append("year")
    return "_".join(parts)


def opening(text: str, words: int = 4) -> str:
    """The first words, as they are compared: lower case, without punctuation."""
    return " ".join(re.findall(r"[\w']+", text.lower())[:words])


def sentences(text: str) -> list[str]:
    """`text` cut after sentence-ending punctuation that white space follows."""
    return re.findall(r".+?(?:[.!?]+[\"”]?(?=\s|$)|$)\s*", text)


def _masked(text: str, spans: Spans) -> str:
    """`text` with its facts blotted out, but for the full stop of one that ends a sentence ("by R.E.M. Stay close")."""
    for start, end in spans:
        ends = text[end - 1] in ".!?" and re.match(r"$|\s+[\"A-Z]", text[end:])
        text = text[:start] + "x" * (end - start - 1) + ("." if ends else "x") + text[end:]
    return text


def write_script(brief: Mapping[str, str], rng: random.Random, avoid: tuple[str, ...] = ()) -> tuple[str, Spans]:
    """A good script for `brief` whose opening is none of `avoid`, and the spans of facts in it."""
    grammar, kind = grammar_of(brief["DJ"]), subject_of(brief)
    taken = {opening(a, 3) for a in avoid}
    while True:
        facts = grammar_facts(brief, rng)
        both = {"high", "low"} & facts.keys()
        if both:
            key = "temps_both" if len(both) == 2 else f"temps_{both.pop()}"
            grammar.rules["temps"] = grammar.rules[key]
        text, spans = grammar.write(_rule(kind, facts, rng), facts, rng)
        if spans and spans[0][0] <= 1 and kind in ("intro", "outro", "time"):
            continue  # a name at the very start has no space before it and is spelled otherwise than in the brief
        if opening(text, 3) not in taken and 2 <= len(sentences(_masked(text, spans))) <= 5:
            return text, spans


def fitting_words(text: str, rng: random.Random) -> str:
    """A word budget, `least-most`, whose middle is near the length of `text`."""
    middle = len(text.split()) + rng.randint(-3, 3)
    half = rng.choice((4, 6, 8, 10, 12, 14, 16))
    return f"{max(1, middle - half)}-{max(3, middle + half)}"
