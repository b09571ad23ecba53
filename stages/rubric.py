"""A kind's rubric: what the auditor scores, what code checks, and when a script passes.

    threshold: 7.5                       # weighted score a script needs, 1 to 10
    criteria:                            # what the auditor scores from 1 to 10, in this order
      character_voice: {weight: 0.3, ask: "Could only this presenter have said it?"}
      flow: {weight: 0.7, ask: "Does it run well aloud?"}
    rules:                               # what code checks; docs/rules.md lists them
      defaults: true                     # all rules that apply where this section is missing; then exceptions
      names_title: fail                  # a hit fails the script, whatever the score
      repetition: note                   # a hit is noted and told to the writer, no more
      emoji: {cap: 4.0}                  # a hit caps the weighted score
      length: {severity: fail, tolerance: 0.1}   # with options of the rule

Where `rules` is missing, every rule that fits the kind's name and subject applies with `fail`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from engine.errors import RowError, UserError
from stages.rules.registry import Rule

FAIL, NOTE, CAP, OFF = "fail", "note", "cap", "off"
LOWEST, HIGHEST = 1, 10
RESERVED = ("issues", "notes")


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing the auditor scores: `weight` is its share of the whole (all add up to 1)."""

    name: str
    weight: float
    ask: str


@dataclass(frozen=True, slots=True)
class RuleUse:
    """How a rubric uses a rule.

    Attributes:
        severity: `fail`, `note` or `cap`.
        cap: the highest score a hit leaves, for `cap`.
        options: the rule's options, where they differ from its defaults.
        implicit: whether the rubric has no `rules` section and the rule is used by default.
    """

    severity: str = FAIL
    cap: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    implicit: bool = False

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {"severity": self.severity, "cap": self.cap, "options": dict(self.options)}


@dataclass(frozen=True, slots=True)
class Rubric:
    """A rubric as loaded.

    Attributes:
        threshold: weighted score from which a script passes.
        criteria: in the order the auditor answers them.
        rules: rule name -> how it is used, in the order they are checked.
    """

    threshold: float
    criteria: tuple[Criterion, ...]
    rules: Mapping[str, RuleUse]

    @classmethod
    def load(cls, path: str | Path) -> Rubric:
        """Read a `rubric.yaml`.

        Raises:
            UserError: naming everything that is wrong with the file at once.
        """
        path = Path(path)
        try:
            data = yaml.safe_load(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(
                "no such rubric", path, "every kind needs a rubric.yaml with criteria and a threshold"
            ) from None
        except yaml.YAMLError as e:
            mark = getattr(e, "problem_mark", None)
            where = f"{path}:{mark.line + 1}" if mark else path
            raise UserError(f"not valid YAML: {getattr(e, 'problem', e)}", where, "correct the file") from None
        return cls.from_dict(data, path)

    @classmethod
    def from_dict(cls, data: Any, where: str | Path = "rubric") -> Rubric:
        """A rubric from its parsed form; `where` names it in errors.

        Raises:
            UserError: naming everything that is wrong at once.
        """
        errors: list[UserError] = []
        if not isinstance(data, Mapping):
            raise UserError("is not a mapping", where, "write threshold, criteria and rules")
        for key in data:
            if key not in ("threshold", "criteria", "rules"):
                errors.append(
                    UserError(f"unknown key {key!r}", where, _nearest(str(key), ("threshold", "criteria", "rules")))
                )
        threshold = _number(data.get("threshold"), LOWEST, HIGHEST, f"{where}: threshold", errors)
        criteria = _criteria(data.get("criteria"), where, errors)
        rules = _rules(data.get("rules"), where, errors)
        if errors:
            raise UserError.of_many(errors)
        return cls(threshold, criteria, rules)

    def schema(self) -> dict[str, Any]:
        """JSON schema of the auditor's answer: issues, notes, then each criterion from 1 to 10, in this order."""
        properties: dict[str, Any] = {
            "issues": {"type": "array", "items": {"type": "string", "maxLength": 120}, "maxItems": 4},
            "notes": {"type": "string", "maxLength": 200},
        }
        for c in self.criteria:
            properties[c.name] = {"type": "integer", "minimum": LOWEST, "maximum": HIGHEST}
        return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}

    def weighted(self, scores: Mapping[str, float]) -> float:
        """Weighted score, 1 to 10, of one score per criterion.

        Raises:
            RowError: `bad_verdict`, where a criterion is missing, not a number or out of range.
        """
        return round(sum(c.weight * _score(scores, c.name) for c in self.criteria), 4)

    def to_dict(self) -> dict[str, Any]:
        """Canonical JSON-able form: equal for rubrics that judge equally, fit for a fingerprint."""
        return {
            "threshold": self.threshold,
            "criteria": [{"name": c.name, "weight": round(c.weight, 9), "ask": c.ask} for c in self.criteria],
            "rules": {name: self.rules[name].to_dict() for name in sorted(self.rules)},
        }


def _score(scores: Mapping[str, Any], name: str) -> float:
    value = scores.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        problem = "has no score for" if name not in scores else "has no number for"
        raise RowError("bad_verdict", f"the verdict {problem} {name!r}", criterion=name)
    if not LOWEST <= value <= HIGHEST:
        raise RowError(
            "bad_verdict", f"the verdict scores {name!r} with {value}, not {LOWEST} to {HIGHEST}", criterion=name
        )
    return float(value)


def _criteria(data: Any, where: str | Path, errors: list[UserError]) -> tuple[Criterion, ...]:
    if not isinstance(data, Mapping) or not data:
        errors.append(UserError("has no criteria", where, "list at least one under criteria: name: {weight, ask}"))
        return ()
    read = []
    for name, entry in data.items():
        at = f"{where}: criteria.{name}"
        if not isinstance(name, str) or not name.isidentifier() or name in RESERVED:
            errors.append(UserError("is not usable as a criterion's name", at, "use a word such as character_voice"))
        if not isinstance(entry, Mapping):
            errors.append(UserError("is not a mapping", at, 'write {weight: 0.3, ask: "…"}'))
            continue
        for key in entry:
            if key not in ("weight", "ask"):
                errors.append(UserError(f"unknown key {key!r}", at, _nearest(str(key), ("weight", "ask"))))
        weight = _number(entry.get("weight"), None, None, f"{at}.weight", errors)
        if weight <= 0:
            errors.append(
                UserError(f"weight {entry.get('weight')} is not positive", at, "give it a share or leave it out")
            )
        ask = str(entry.get("ask") or "").strip()
        if not ask:
            errors.append(UserError("asks nothing", at, "write the question the auditor is to answer under ask"))
        read.append((str(name), weight, ask))
    whole = sum(weight for _, weight, _ in read)
    return tuple(Criterion(name, weight / whole, ask) for name, weight, ask in read) if whole > 0 else ()


def _rules(data: Any, where: str | Path, errors: list[UserError]) -> dict[str, RuleUse]:
    from stages.rules import RULES  # the full table, not only what registry.py has seen so far

    defaults = {name: RuleUse(implicit=True) for name, rule in RULES.items() if rule.default}
    if data is None:
        return defaults
    if isinstance(data, list):
        data = dict.fromkeys(data, FAIL)
    if not isinstance(data, Mapping):
        errors.append(UserError("rules is not a mapping", where, "write rule_name: fail, one a line"))
        return {}
    read = {}
    for name, entry in data.items():
        at = f"{where}: rules.{name}"
        if name == "defaults":
            if not isinstance(entry, bool):
                errors.append(UserError(f"cannot be {entry!r}", at, "write true or false"))
            elif entry:
                read = defaults | read
            continue
        if name not in RULES:
            errors.append(UserError("unknown rule", at, _nearest(str(name), RULES)))
            continue
        use = _use(RULES[name], entry, at, errors)
        read.pop(name, None)
        if use and use.severity != OFF:
            read[name] = use
    return read


def _use(rule: Rule, entry: Any, at: str, errors: list[UserError]) -> RuleUse | None:
    if entry is None or entry is True:
        entry = FAIL
    elif entry is False:  # YAML reads a bare `off` so
        entry = OFF
    if isinstance(entry, str):
        entry = {"severity": entry}
    if not isinstance(entry, Mapping):
        errors.append(UserError(f"cannot be {entry!r}", at, "write fail, note, off, {cap: 4.0} or {severity: fail, …}"))
        return None
    options = {k: v for k, v in entry.items() if k not in ("severity", "cap")}
    cap = None
    if "cap" in entry:
        cap = _number(entry["cap"], 0, HIGHEST, f"{at}.cap", errors)
    severity = entry.get("severity", CAP if cap is not None else FAIL)
    if severity is False:
        severity = OFF
    if severity not in (FAIL, NOTE, CAP, OFF) or (severity == CAP) != (cap is not None):
        errors.append(
            UserError(f"severity {severity!r} is none", at, "write fail, note, off or, for a cap, {cap: 4.0}")
        )
    for key, value in list(options.items()):
        if key not in rule.options:
            known = (*rule.options, "severity", "cap")
            errors.append(UserError(f"unknown option {key!r}", at, _nearest(str(key), known)))
            continue
        default = rule.options[key]
        if isinstance(default, tuple):
            value = tuple(str(v) for v in value) if isinstance(value, list | tuple) else (str(value),)
        elif isinstance(default, bool) != isinstance(value, bool) or not isinstance(
            value, int | float if isinstance(default, float) else type(default)
        ):
            errors.append(UserError(f"option {key} cannot be {value!r}", at, f"the default is {default!r}"))
        elif not isinstance(value, bool) and isinstance(value, int | float) and value < 0:
            errors.append(UserError(f"option {key} cannot be negative", at, f"the default is {default!r}"))
        options[key] = value
    return RuleUse(str(severity), cap, options)


def _number(value: Any, least: float | None, most: float | None, at: str, errors: list[UserError]) -> float:
    """`value` as a float; on a mistake an error is noted and 1.0 stands in."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        errors.append(
            UserError(f"{value!r} is not a number" if value is not None else "is missing", at, "give a number")
        )
        return 1.0
    if (least is not None and value < least) or (most is not None and value > most):
        errors.append(UserError(f"{value} is not between {least} and {most}", at, "scores run from 1 to 10"))
    return float(value)


def _nearest(word: str, known: Any) -> str:
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
