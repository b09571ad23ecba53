"""Rules on a script's length, ending and repetitions."""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from stages.link import WORDS_PER_SECOND, Link
from stages.rules.names import Names
from stages.rules.registry import rule
from stages.rules.text import MARKS, Script


@rule(
    "fewer or more words than the link may have; `tolerance` is a fraction of either bound",
    tolerance=0.0,
)
def length(script: Script, link: Link, options: Mapping[str, Any], names: Names) -> Iterator[str]:
    least, most, n = *link.words, script.words
    if n < least * (1 - options["tolerance"]):
        yield f"too short: {n} words, must be {least} to {most}"
    elif n > most * (1 + options["tolerance"]):
        yield f"too long: {n} words, must be {least} to {most}"


@rule("more words than can be spoken before the vocals start (or than the link may have at most)", default=False)
def word_budget(script: Script, link: Link, options: Mapping[str, Any], names: Names) -> Iterator[str]:
    most, n = link.words[1], script.words
    if n > most:
        yield f"over its word budget: {n} words (about {n / WORDS_PER_SECOND:.0f} s), at most {most}"


_TERMINAL = re.compile(r"""[.!?…]["')\]»”’*_]*$""")
_DANGLING = re.compile(r"\b(?:the|a|an|and|or|but|nor|my|your|our|their|its|because|than|if|whose|every)[\s.…!?\"']*$")
_STUB = re.compile(r"\b(?:of|by|with|to|from|into|at)\s*(?:\.{2,}|…)[\"']*$")
_INCHES = re.compile(r'\d"')


@rule("a script that breaks off: no closing punctuation, a dangling last word, quotes or brackets left open")
def cut_off(script: Script, link: Link, options: Mapping[str, Any], names: Names) -> Iterator[str]:
    if not script.raw:
        yield "the script is empty"
        return
    if not _TERMINAL.search(script.raw):
        yield f'breaks off: does not end with . ! or ? but with "{script.raw[-20:]}"'
    elif link.dj.language.startswith("en") and (_DANGLING.search(script.plain) or _STUB.search(script.plain)):
        yield f'breaks off: ends with "{script.raw[-20:]}"'
    quotes = script.masked.count('"') - len(_INCHES.findall(script.masked))
    if quotes % 2 or script.raw.count("“") != script.raw.count("”") and quotes % 2:
        yield "leaves a quotation mark open"
    elif script.masked.count("(") != script.masked.count(")"):
        yield "leaves a bracket open"


_SAID = re.compile(rf"[^\W_]+(?:'[^\W_]+)*|[{MARKS}]")
_DOUBLE = re.compile(
    r"\b(the|a|an|of|to|and|is|are|was|in|for|with|this|it|you|we|i|your|my|our|their|at|from|by|it's|"
    r"here's)\s+\1\b(?!')"
)
_MAY_TRIPLE = frozenset(
    "la na no yeah hey ha ho oh da doo sha bye tick choo knock very long far never many row".split()
)


@rule(
    "a sentence said twice, a word doubled, or a run of `words` words that comes back",
    words=6,
)
def repetition(script: Script, link: Link, options: Mapping[str, Any], names: Names) -> Iterator[str]:
    plain = script.plain
    said = _SAID.findall(plain)
    pairs = list(zip(said, said[1:], strict=False))
    if len(set(pairs)) == len(pairs) and not any(map(operator.eq, said, said[1:])):
        return  # no two words come twice in the same order, so nothing longer does
    parts = plain.split()
    if any(
        a == b == c and a.strip(".,!?") not in _MAY_TRIPLE for a, b, c in zip(parts, parts[1:], parts[2:], strict=False)
    ):
        again = next(a for a, b, c in zip(parts, parts[1:], parts[2:], strict=False) if a == b == c)
        yield f'repeats a word over and over: "{again}"'
    elif any(map(operator.eq, said, said[1:])):
        if m := _DOUBLE.search(plain):
            yield f'doubles a word: "{m[0]}"'
    if len(script.sentences) > 1:
        sentences = [" ".join(_SAID.findall(s)) for s in script.sentences]
        if len(set(sentences)) < len(sentences):
            twice = [s for s, n in Counter(s for s in sentences if " " in s).items() if n > 1]
            if twice:
                yield f'says a sentence twice: "{twice[0][:60]}"'
                return
    if phrase := _looped(said):
        yield f'repeats itself over and over: "{phrase}"'
        return
    n = options["words"]
    runs = list(zip(*(said[i:] for i in range(n)), strict=False))
    if len(set(runs)) < len(runs):
        seen: dict[tuple[str, ...], int] = {}
        for i, run in enumerate(runs):
            if i - seen.setdefault(run, i) >= n:
                yield f'repeats itself: "{" ".join(run)}"'
                return


def _looped(said: list[str]) -> str | None:
    """A phrase of two to six words that comes three times running."""
    for n in range(2, 7):
        run = 0
        for i, same in enumerate(map(operator.eq, said, said[n:])):
            run = run + 1 if same else 0
            if run == 2 * n:
                return " ".join(said[i - n + 1 : i + 1]).translate(dict.fromkeys(map(ord, MARKS), "…"))
    return None
