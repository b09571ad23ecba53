"""A small generative grammar: YAML files of alternatives, one a line, expanded to sentences.

In a line `(a|b|)` chooses, `{name}` is a fact of the brief or another rule; `{name_cap}` is the same with a capital.
A rule `x` that is not there is looked for as `x_PART`, where PART is the brief's part of the day. An alternative that
needs a fact the brief does not hold is never chosen, so a line can only say what is known.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import yaml

FOLDER = Path(__file__).parent / "grammar"
_FACT = 0xE000  # facts travel through clean-up as private-use characters, so that no name is ever touched

Node = str | tuple  # text, ("ref", name) or ("alt", [sequence, …])


class MissingFact(LookupError):
    """No alternative can be spoken with the facts at hand."""


@lru_cache
def word_list(file: str, name: str, split: str = "\n") -> tuple[str, ...]:
    """Entries of a vocabulary list in `grammar/<file>.yaml`, one a line or, with `split=" "`, one a word."""
    text = _load(file)[name]
    return tuple(text.split() if split == " " else (line.strip() for line in text.splitlines() if line.strip()))


@lru_cache
def _load(file: str) -> dict[str, str]:
    return yaml.safe_load((FOLDER / f"{file}.yaml").read_text("utf-8"))


def _parse(text: str, at: int = 0, depth: int = 0) -> tuple[list[list[Node]], int]:
    """Alternatives from `text[at:]` up to the closing parenthesis of this depth, and where that was."""
    options: list[list[Node]] = [[]]
    while at < len(text):
        char = text[at]
        if char == "(":
            inner, at = _parse(text, at + 1, depth + 1)
            options[-1].append(("alt", inner))
        elif char == ")" and depth:
            return options, at + 1
        elif char == "|" and depth:
            options.append([])
            at += 1
        elif char == "{":
            end = text.index("}", at)
            options[-1].append(("ref", text[at + 1 : end]))
            at = end + 1
        else:
            end = re.compile(r"[(){|]" if depth else r"[({]").search(text, at)
            stop = max(end.start(), at + 1) if end else len(text)
            options[-1].append(text[at:stop])
            at = stop
    return options, at


class Grammar:
    """The rules of one voice (`grammar/<voice>.yaml`) on top of what all voices share."""

    def __init__(self, voice: str):
        merged = {**_load("shared"), **_load(voice)}
        self.rules = {
            name: [_parse(line.strip())[0][0] for line in text.splitlines() if line.strip()]
            for name, text in merged.items()
        }

    def write(self, rule: str, facts: Mapping[str, str], rng: random.Random) -> tuple[str, list[tuple[int, int]]]:
        """One text for `rule`, and the character spans in it that are facts.

        Raises:
            MissingFact: if no alternative fits the facts.
        """
        slots: list[str] = []
        text = self._choose(self.rules[rule], facts, rng, slots)
        text = re.sub(r"\s+", " ", text).strip()
        text = re.sub(r"\s+([,.!?])", r"\1", text)
        out, spans = [], []
        length = 0
        for i, char in enumerate(text):
            piece = char
            if ord(char) - _FACT in range(len(slots)):
                piece = slots[ord(char) - _FACT]
                spans.append((length, length + len(piece)))
            elif char == "." and out and i and ord(text[i - 1]) >= _FACT and out[-1][-1:] in ".!?":
                continue  # "by R.E.M.": the name's own full stop ends the sentence
            out.append(piece)
            length += len(piece)
        return "".join(out), spans

    def _rule(self, name: str, facts: Mapping[str, str], rng: random.Random, slots: list[str]) -> str:
        if name in facts:
            slots.append(facts[name])
            return chr(_FACT + len(slots) - 1)
        if name.endswith("_cap"):
            base = name.removesuffix("_cap")
            if base in facts:
                value = facts[base]
                slots.append(value[:1].upper() + value[1:])
                return chr(_FACT + len(slots) - 1)
            text = self._rule(base, facts, rng, slots)
            first = ord(text[:1] or " ") - _FACT
            if first in range(len(slots)):
                slots[first] = slots[first][:1].upper() + slots[first][1:]
            return text[:1].upper() + text[1:]
        if name not in self.rules:
            name = f"{name}_{facts.get('part', '')}"
        if name not in self.rules:
            raise MissingFact(name)
        return self._choose(self.rules[name], facts, rng, slots)

    def _choose(self, options: list[list[Node]], facts, rng: random.Random, slots: list[str]) -> str:
        for option in rng.sample(options, len(options)):
            kept = len(slots)
            try:
                return "".join(self._node(node, facts, rng, slots) for node in option)
            except MissingFact:
                del slots[kept:]
        raise MissingFact(str(options)[:80])

    def _node(self, node: Node, facts, rng: random.Random, slots: list[str]) -> str:
        if isinstance(node, str):
            return node
        kind, value = node
        return self._rule(value, facts, rng, slots) if kind == "ref" else self._choose(value, facts, rng, slots)
