"""Rules: what code can check in a script, checked in code.

A rule is a small named function in one of this package's modules; `RULES` is the table of all, `check` runs the ones a
rubric names. Rules judge nothing: what a hit costs (`fail`, `note`, a cap) is for the rubric to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stages.link import Link
from stages.rules import clean, facts, naming, shape, speakable, talk, tense, weather  # noqa: F401  (each enters its rules into RULES)
from stages.rules.names import Names
from stages.rules.registry import RULES, Hit, Rule
from stages.rules.text import Script

__all__ = ["RULES", "Hit", "Names", "Rule", "Script", "check", "table"]

_NO_NAMES = Names()


def check(
    script: str | Script,
    link: Link,
    rules: Mapping[str, Any] | None = None,
    names: Names | None = None,
) -> list[Hit]:
    """Which rules `script` breaks, in the order of `rules`.

    Args:
        script: the text as it would be spoken.
        link: what it was written for.
        rules: rule name -> its options: a mapping, an object with an `options` mapping (a rubric's `RuleUse`), or
            None, as where the rubric does not name the rule. Every rule of the table with its defaults if omitted.
        names: the other songs, artists and DJs of the station, for the rules that look for a wrong one.

    Returns:
        Hits; several of one rule where it found several things.

    Raises:
        KeyError: for a rule that is not in the table (a loaded rubric has none such).
    """
    names = names or _NO_NAMES
    read = script if isinstance(script, Script) else Script(script, link, names.protect)
    hits: list[Hit] = []
    for name, use in (rules if rules is not None else dict.fromkeys(RULES)).items():
        rule = RULES[name]
        if rule.find is None or not rule.applies(link, use is None or getattr(use, "implicit", False)):
            continue
        given = getattr(use, "options", use)
        for message in rule.find(read, link, {**rule.options, **given} if given else rule.options, names):
            hits.append(Hit(name, message))
    return hits


def table() -> str:
    """The table of rules as Markdown, one row a rule."""
    rows = ["| rule | refuses | options (default) | for |", "|---|---|---|---|"]
    for rule in RULES.values():
        options = ", ".join(f"`{k}` ({v!r})" for k, v in rule.options.items()) or "—"
        scope = ", ".join((*rule.subjects, *(f"language {x}" for x in rule.languages))) or "all"
        rows.append(f"| `{rule.name}` | {rule.refuses} | {options} | {scope} |")
    return "\n".join(rows) + "\n"
