"""What a rule is, and the table of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stages.link import ClockTime, Forecast, Link, Song
from stages.rules.names import Names
from stages.rules.text import Script

Finder = Callable[[Script, Link, Mapping[str, Any], Names], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule that a script breaks, and how: `message` is fit to be shown to a user and to a writer asked to mend it."""

    rule: str
    message: str

    def to_dict(self) -> dict[str, str]:
        """JSON-able form."""
        return {"rule": self.rule, "message": self.message}


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of the table.

    Attributes:
        name: as a rubric writes it.
        refuses: what it refuses, in one line.
        options: its options and their defaults; a rubric's value must have the default's type.
        languages: DJ languages it understands, by their primary tag; empty for all. Elsewhere it stays silent.
        subjects: what the link must speak of for it to apply: `song`, `time`, `weather`; empty for all.
        kinds: link kinds it is used for where a rubric has no `rules` section; empty for all. A rubric that names the
            rule uses it whatever the kind is called.
        default: whether a rubric without a `rules` section uses it.
        find: yields a message for each thing refused; None for a rule over the whole station (`diversity.repeats`).
    """

    name: str
    refuses: str
    options: Mapping[str, Any] = field(default_factory=dict)
    languages: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    default: bool = True
    find: Finder | None = None

    def applies(self, link: Link, implicit: bool = False) -> bool:
        """Whether the rule has anything to say about scripts of `link`; `implicit` where no rubric named the rule."""
        if self.subjects and SUBJECTS.get(type(link.subject)) not in self.subjects:
            return False
        if implicit and self.kinds and link.kind not in self.kinds:
            return False
        return not self.languages or link.dj.language.lower().split("-")[0] in self.languages


SUBJECTS = {Song: "song", ClockTime: "time", Forecast: "weather"}
RULES: dict[str, Rule] = {}


# Looks at all scripts of a station together, so it has no function of its own here: see `stages.diversity`.
RULES["repeated_opening"] = Rule(
    "repeated_opening",
    "an opening of `words` words that other links of the station have used `times` times already",
    {"words": 4, "times": 3},
    default=False,
)


def rule(
    refuses: str,
    *,
    languages: tuple[str, ...] = (),
    subjects: tuple[str, ...] = (),
    kinds: tuple[str, ...] = (),
    default: bool = True,
    **options: Any,
) -> Callable[[Finder], Finder]:
    """Enter the decorated function into `RULES` under its own name."""

    def enter(find: Finder) -> Finder:
        RULES[find.__name__] = Rule(find.__name__, refuses, options, languages, subjects, kinds, default, find)
        return find

    return enter
