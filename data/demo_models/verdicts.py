"""What the auditor learns: scripts, some with a planted defect, and the verdict each deserves."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping

from data.demo_models.briefs import DJS, KINDS, Briefs, decade_words, grammar_facts, year_words
from data.demo_models.grammar import word_list
from data.demo_models.names import Names
from data.demo_models.scripts import grammar_of, sentences, write_script

CRITERIA = {
    "intro": ("character_voice", "era", "forbidden_elements", "flow", "length"),
    "outro": ("character_voice", "era", "forbidden_elements", "flow", "past_tense"),
    "time": ("character_voice", "flow", "brevity"),
    "weather": ("character_voice", "flow", "length", "subtlety"),
}
GOOD, BAD = 9, 2
SONG, ALL = ("intro", "outro"), KINDS

# defect -> what the auditor says of it, and the kinds it can be planted in
DEFECTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "missing_title": ("does not name the title", SONG),
    "missing_artist": ("does not name the artist", SONG),
    "missing_time": ("does not say the time", ("time",)),
    "missing_conditions": ("does not give the forecast", ("weather",)),
    "wrong_kind": ("wrong tense", SONG),
    "other_kind": ("does not do its job", ALL),
    "unknown_year": ("states a year that was not given", SONG),
    "placeholder": ("placeholder left in", ALL),
    "emoji": ("emoji", ALL),
    "slang": ("slang", ALL),
    "meta": ("talks about the script", ALL),
    "markup": ("markup", ALL),
    "cut_off": ("cut off", ALL),
    "repetition": ("repeats itself", ALL),
    "garbled": ("does not make sense", ALL),
    "wrong_title": ("does not name the title", SONG),
    "wrong_artist": ("does not name the artist", SONG),
    "wrong_voice": ("does not sound like the DJ", ALL),
}
HARD = ("wrong_kind", "unknown_year", "repetition", "garbled")  # planted twice as often, being twice as hard to see
# rules of the grammar that hold no fact of the brief
SMALL_TALK = {
    "intro": ("hello", "scene", "quip", "chat", "send"),
    "outro": ("linger_open", "after_open", "linger", "after", "bye"),
    "time": ("time_open", "time_after"),
    "weather": ("wx_open", "wx_after"),
}
CLAIMED = tuple(d for d in DEFECTS if d not in ("wrong_title", "wrong_artist", "wrong_voice"))


def verdict_json(kind: str, issue: str | None) -> str:
    """The verdict in the audit stage's form, without white space."""
    scores = dict.fromkeys(CRITERIA[kind], BAD if issue else GOOD)
    if issue and "length" in scores:
        scores["length"] = 5
    return json.dumps({"issues": [issue] if issue else [], "notes": "", **scores}, separators=(",", ":"))


class Scripts:
    """Draws audited scripts.

    Args:
        names: source of titles and artists.
        share: share of scripts with a defect.
        defects: which ones, all where omitted.
    """

    def __init__(self, names: Names, share: float = 0.5, defects: tuple[str, ...] = tuple(DEFECTS)):
        self.names, self.briefs, self.share, self.defects = names, Briefs(names), share, defects

    def draw(self, rng: random.Random, kind: str | None = None) -> tuple[dict[str, str], str, str | None]:
        """A brief with its `Script`, the verdict as JSON, and the name of the planted defect if there is one."""
        kind = kind or rng.choice(("intro", "intro", "outro", "outro", "time", "weather"))
        brief = self.briefs.draw(rng, kind, rng.choice((*DJS, *DJS, *DJS, "other")))
        if rng.random() < self.share:
            fitting = [d for d in self.defects if kind in DEFECTS[d][1]]
            defect = rng.choice([*fitting, *(d for d in fitting if d in HARD)])
            if script := self.plant(defect, brief, rng):
                return {**brief, "Script": script}, verdict_json(kind, DEFECTS[defect][0]), defect
        return {**brief, "Script": write_script(brief, rng)[0]}, verdict_json(kind, None), None

    def plant(self, defect: str, brief: dict[str, str], rng: random.Random) -> str | None:
        """A script for `brief` with `defect` in it; None where this brief has no room for it. May edit `brief`."""
        if defect == "unknown_year":
            brief.pop("Year", None)
        text = write_script(brief, rng)[0]
        planted = getattr(self, f"_{defect}")(text, brief, rng)
        return None if planted is None or planted == text else " ".join(planted.split())

    # ------------------------------------------------------------ one method a defect: (text, brief, rng) -> text
    def _small_talk(self, brief: Mapping[str, str], rng: random.Random) -> str:
        """Sentences that fit the brief's kind and hold none of its facts."""
        grammar = grammar_of(brief["DJ"])
        rules = [r for r in SMALL_TALK[brief["Task"]] if r in grammar.rules]
        picked = rng.sample(rules, min(len(rules), rng.randint(1, 3)))
        facts = grammar_facts(brief, rng)
        return " ".join(grammar.write(r, facts, rng)[0] for r in rules if r in picked)

    def _missing_title(self, text: str, brief, rng) -> str | None:
        quoted = f'"{brief["Title"]}"'
        if rng.random() < 0.3:
            return self._small_talk(brief, rng)
        plain = rng.choice(("this song", "this one", "a song", "something lovely", "a favourite", "their latest"))
        return text.replace(quoted, plain) if quoted in text else None

    def _missing_artist(self, text: str, brief, rng) -> str | None:
        if brief["Artist"] in brief["Title"] or brief["Artist"] in brief.get("Next", ""):
            return None
        return text.replace(
            brief["Artist"], rng.choice(("a band", "someone", "an old friend", "a singer", "one of ours"))
        )

    def _missing_time(self, text: str, brief, rng) -> str | None:
        return self._small_talk(brief, rng)

    def _missing_conditions(self, text: str, brief, rng) -> str | None:
        return self._small_talk(brief, rng)

    def _wrong_kind(self, text: str, brief, rng) -> str | None:
        swapped = {**brief, "Task": "outro" if brief["Task"] == "intro" else "intro"}
        return write_script(swapped, rng)[0]

    def _other_kind(self, text: str, brief, rng) -> str | None:
        kind = rng.choice([k for k in KINDS if k != brief["Task"] and {k, brief["Task"]} != set(SONG)])
        return write_script(self.briefs.draw(rng, kind, brief["DJ"]), rng)[0]

    def _unknown_year(self, text: str, brief, rng) -> str | None:
        year = rng.randint(1950, 2025)
        said = rng.choice([s for s in (str(year), str(year), year_words(year), decade_words(year)) if s])
        extra = rng.choice(
            (f"It's from {said}.", f"A hit in {said}.", f"All the way from {said}.", f"{said}, what a year.")
            + (f"Recorded back in {said}.", f"From {said}.")
        )
        if rng.random() < 0.5:
            dated = {**brief, "Year": str(year)}
            text = write_script(dated, rng)[0]
            spoken = [s for s in (str(year), year_words(year), decade_words(year)) if s]
            return text if any(s in text for s in spoken) else None
        return self._insert(text, extra, rng)

    def _placeholder(self, text: str, brief, rng) -> str | None:
        mark = rng.choice(word_list("defects", "placeholders"))
        for label in rng.sample(("Title", "Artist", "Time", "Conditions", "Period"), 5):
            if label in brief and brief[label] in text and rng.random() < 0.5:
                return text.replace(brief[label], mark, 1)
        return self._insert(text, rng.choice((mark, f"{mark}.", f"This is {mark}.", f"Hello, {mark}!")), rng)

    def _emoji(self, text: str, brief, rng) -> str | None:
        marks = "".join(rng.choice(word_list("defects", "emoji", " ")) for _ in range(rng.choice((1, 1, 1, 2, 3))))
        words = text.split(" ")
        at = rng.choice((0, len(words), rng.randint(0, len(words))))
        return " ".join([*words[:at], marks, *words[at:]])

    def _slang(self, text: str, brief, rng) -> str | None:
        return self._insert(text, rng.choice(word_list("defects", "slang")), rng)

    def _meta(self, text: str, brief, rng) -> str | None:
        line = rng.choice(word_list("defects", "meta"))
        return f"{line} {text}" if rng.random() < 0.7 else f"{text} {line}"

    def _markup(self, text: str, brief, rng) -> str | None:
        parts = sentences(text)
        at = rng.randrange(len(parts))
        whole = rng.random() < 0.3
        wrapped = rng.choice(word_list("defects", "markup")).replace("{s}", text if whole else parts[at].strip())
        return wrapped if whole else " ".join([*parts[:at], wrapped, *parts[at + 1 :]])

    def _cut_off(self, text: str, brief, rng) -> str | None:
        words = text.split(" ")
        cut = " ".join(words[: rng.randint(max(2, len(words) // 3), len(words) - 1)])
        return cut.rstrip(",") if cut[-1] not in ".!?" else None

    def _repetition(self, text: str, brief, rng) -> str | None:
        parts = [s.strip() for s in sentences(text)]
        at = rng.randrange(len(parts))
        how = rng.random()
        if how < 0.4:
            return " ".join([*parts[: at + 1], *[parts[at]] * rng.randint(1, 3), *parts[at + 1 :]])
        if how < 0.6:
            return " ".join([*parts, parts[at]])
        if how < 0.8:
            return f"{text} {text}"
        words = text.split(" ")
        at = rng.randrange(len(words))
        run = words[at : at + rng.randint(1, 3)]
        return " ".join(words[:at] + run * rng.randint(3, 6) + words[at + len(run) :])

    def _garbled(self, text: str, brief, rng) -> str | None:
        words = re.sub(r'["]', "", text).split(" ")
        rng.shuffle(words)
        return " ".join(words)

    def _wrong_title(self, text: str, brief, rng) -> str | None:
        other = self.names.title(rng)
        return None if brief["Title"] in other else text.replace(f'"{brief["Title"]}"', f'"{other}"')

    def _wrong_artist(self, text: str, brief, rng) -> str | None:
        if brief["Artist"] in brief["Title"] or brief["Artist"] in brief.get("Next", ""):
            return None
        return text.replace(brief["Artist"], self.names.artist(rng))

    def _wrong_voice(self, text: str, brief, rng) -> str | None:
        if brief["DJ"] not in DJS:
            return None
        other = DJS[1 - DJS.index(brief["DJ"])]
        swapped = write_script({**brief, "DJ": other}, rng)[0]
        return swapped if other in swapped.lower() or len(sentences(swapped)) > 2 else None

    @staticmethod
    def _insert(text: str, extra: str, rng: random.Random) -> str:
        parts = [s.strip() for s in sentences(text)]
        at = rng.randint(0, len(parts))
        return " ".join([*parts[:at], extra, *parts[at:]])
