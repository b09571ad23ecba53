"""Prompts: the chat messages a writer and an auditor are sent about a link.

The station's templates say what is in them; this module decides what they may hold. Nothing the station's files, the
catalog or a script contain can pass for a line of the brief, for a chat template's control token or for code: facts
are single lines, lyrics and scripts are quoted with `> `, and the brief is put last by the program itself.

The system message depends on DJ and kind alone, so that an engine computes its prefix once for all their links.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from stages.files import clean
from stages.kinds import TEMPLATES, Kind
from stages.link import Link, Song
from stages.station import Station
from stages.templates import Templates

OPENING_WORDS = 5
BRIEF_TEMPLATE = "_brief.j2"
DEFAULT_BRIEF = "Brief:\n{% for label, value in brief %}\n@{{ label }}: {{ value }}\n{% endfor %}\n"

Messages = list[dict[str, str]]


class Feedback(Protocol):
    """What a rewrite is told: the `script` that was turned down and the `issues` found with it."""

    script: str
    issues: Sequence[str]


class Prompts:
    """Renders a station's prompts; templates are compiled once, system messages are kept.

    Args:
        station: the loaded station.

    Raises:
        UserError: with a line for each template that cannot be compiled.
    """

    def __init__(self, station: Station):
        self.station = station
        self._templates = Templates(_sources(station), station.path / "kinds")
        self._systems: dict[tuple[str, str, str], str] = {}
        self._constant = {
            "station": {
                "name": station.name,
                "place": station.place,
                "language": station.language,
                "temperature_unit": station.temperature_unit,
            }
        }

    def writer(self, link: Link, feedback: Feedback | None = None, avoid: Sequence[str] = ()) -> Messages:
        """The messages that ask for a script.

        Args:
            link: what to write.
            feedback: in a rewrite, the script turned down and why.
            avoid: openings not to use again; a rewrite's own failed opening is added.

        Returns:
            A system and a user message. The user message ends with the brief.

        Raises:
            UserError: if a template fails, naming file and line.
        """
        facts = _facts(link)
        openings = [line for text in avoid if (line := plain(text))]
        issues: list[str] = []
        if feedback is not None:
            issues = [line for text in feedback.issues if (line := plain(text))]
            start = opening(plain(feedback.script))
            if start and start not in openings:
                openings.append(start)
        brief = _brief(link, facts)
        brief.append(("Words", f"{link.words[0]}-{link.words[1]}"))
        if openings:
            brief.append(("Avoid", " | ".join(openings)))
        if issues:
            brief.append(("Fix", "; ".join(issues)))
        values = self._values(link, facts)
        values["feedback"] = feedback and {
            "script": quote(feedback.script),
            "issues": bullets(issues),
        }
        values["avoid"] = bullets(openings)
        return self._messages(link, "writer", values, brief)

    def auditor(self, link: Link, script: str) -> Messages:
        """The messages that ask for a verdict on `script`, with all facts it can be held against.

        Returns:
            A system and a user message. The user message ends with the brief, whose last line is the script.

        Raises:
            UserError: if a template fails, naming file and line.
        """
        facts = _facts(link)
        spoken = plain(script)
        brief = _brief(link, facts)
        brief += [("Words", f"{link.words[0]}-{link.words[1]}"), ("Script", spoken)]
        values = self._values(link, facts)
        values["script"] = quote(script)
        values["script_words"] = len(spoken.split())
        return self._messages(link, "auditor", values, brief)

    def _values(self, link: Link, facts: dict[str, Any]) -> dict[str, Any]:
        """What a user template may use."""
        least, most = link.words
        kind = self.station.kinds[link.kind]
        song = link.song
        return self._constant | {
            "dj": {"id": link.dj.id, "name": plain(link.dj.name)},
            "kind": link.kind,
            "words": {"min": least, "max": most},
            "song": facts if song else None,
            "lyrics": quote(excerpt(song.lyrics, kind.lyrics_max_chars)) if song and song.lyrics else "",
            "next_song": facts.get("next"),
            "time": facts.get("time"),
            "forecast": facts if link.forecast else None,
        }

    def _messages(
        self,
        link: Link,
        role: str,
        values: dict[str, Any],
        brief: list[tuple[str, str]],
    ) -> Messages:
        body = _guard(self._templates.render(f"{link.kind}/{role}_user.j2", values))
        tail = self._templates.render(BRIEF_TEMPLATE, {"brief": brief})
        return [
            {"role": "system", "content": self._system(link, role)},
            {"role": "user", "content": f"{body}\n\n{tail}"},
        ]

    def _system(self, link: Link, role: str) -> str:
        key = link.dj.id, link.kind, role
        if key not in self._systems:
            kind = self.station.kinds[link.kind]
            values = self._constant | {
                "dj": {
                    "id": link.dj.id,
                    "name": plain(link.dj.name),
                    "persona": "\n".join(plain(line) for line in link.dj.persona.splitlines()),
                },
                "kind": link.kind,
                "examples": bullets(plain(line) for line in link.dj.examples.get(link.kind, ())),
            }
            if role == "auditor":
                values["criteria"] = _criteria(kind)
            self._systems[key] = _guard(self._templates.render(f"{link.kind}/{role}_system.j2", values))
        return self._systems[key]


def _sources(station: Station) -> dict[str, str]:
    """All templates by name: `<kind>/<file>.j2`, and those all kinds share by file name."""
    out = {BRIEF_TEMPLATE: DEFAULT_BRIEF, **station.shared}
    for kind in station.kinds.values():
        for name, source in kind.templates.items():
            out[f"{kind.name}/{name}.j2" if name in TEMPLATES else name] = source
    return out


def opening(script: str) -> str:
    """The first words of a script, by which listeners notice that it begins like another."""
    return " ".join(script.split(None, OPENING_WORDS)[:OPENING_WORDS])


# What chat templates of common model families take for the end of a turn. A station's text may not contain them.
_TOKEN = re.compile(
    r"<\||\|>|<(?=/?s>|(?:start|end)_of_turn>|/?(?:bos|eos|unk|pad)>)|\[(?=/?(?:INST|SYS)\])|<(?=</?SYS>>)"
)


def plain(text: str) -> str:
    """`text` as one line without control characters or chat control tokens (`<|eot_id|>` becomes `< |eot_id| >`)."""
    return _neutral(clean(text))


def _neutral(text: str) -> str:
    if ("<" in text or "[" in text or "|>" in text) and _TOKEN.search(text):
        return _TOKEN.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)
    return text


def quote(text: str) -> str:
    """`text` with `> ` before each line, as mail quotes: material, not words of the prompt."""
    if not text:
        return ""
    if text.isascii() and text.replace("\n", " ").isprintable():  # nothing to clean: the usual case, and the fast one
        return "> " + _neutral(text).replace("\n", "\n> ")
    return "> " + "\n> ".join([plain(line) for line in text.splitlines()])


def bullets(lines: Iterable[str]) -> str:
    """The lines with `- ` before each."""
    lines = list(lines)
    return "- " + "\n- ".join(lines) if lines else ""


_LABEL_LIKE = re.compile(r"(^|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029])(?=@)")


def _guard(text: str) -> str:
    """`text` in which no line begins with `@`: only the brief's do."""
    return _LABEL_LIKE.sub(r"\1 ", text) if "@" in text else text


def excerpt(lyrics: str, most: int) -> str:
    """The part of `lyrics` that tells most about a song in at most `most` characters.

    First verse and chorus (the verse that comes back) come first, then the other verses as far as they fit, each once
    and in the song's order. Where not even the first fits, as many of its lines as do.
    """
    if len(lyrics) <= most and lyrics.count("\n\n") < 2:
        return lyrics
    verses: dict[str, int] = {}
    for verse in lyrics.split("\n\n"):
        if verse:
            verses[verse] = verses.get(verse, 0) + 1
    order = list(verses)
    chorus = max(order, key=verses.__getitem__, default="")
    ranked = order if len(order) < 2 or verses[chorus] < 2 else [order[0], chorus, *order[1:]]
    chosen: set[str] = set()
    left = most + 2
    for verse in ranked:
        if verse not in chosen and len(verse) + 2 <= left:
            chosen.add(verse)
            left -= len(verse) + 2
    if chosen:
        return "\n\n".join(verse for verse in order if verse in chosen)
    lines: list[str] = []
    left = most + 1
    for line in lyrics.split("\n"):
        if len(line) + 1 > left:
            break
        lines.append(line)
        left -= len(line) + 1
    return "\n".join(lines).strip()


def _facts(link: Link) -> dict[str, Any]:
    """What the link speaks of, each value a single line."""
    if song := link.song:
        following: Song | None = link.next_song
        return {
            "id": song.id,
            "title": plain(song.title),
            "artist": plain(song.artist),
            "album": plain(song.album) if song.album else None,
            "year": song.year,
            "themes": plain(", ".join(song.themes)) if song.themes else "",
            "next": following and {"title": plain(following.title), "artist": plain(following.artist)},
        }
    if time := link.time:
        return {"time": time.spoken}
    if forecast := link.forecast:
        return {
            "period": plain(forecast.period),
            "conditions": plain(forecast.conditions),
            "high": forecast.high,
            "low": forecast.low,
        }
    return {}


_LABELS = tuple((name.capitalize(), name) for name in ("title", "artist", "year", "themes", "next", "time", "period"))
_LABELS += tuple((name.capitalize(), name) for name in ("conditions", "high", "low"))


def _brief(link: Link, facts: dict[str, Any]) -> list[tuple[str, str]]:
    """The brief's facts, label and value; what is unknown has no line."""
    out = [("Task", link.kind), ("DJ", link.dj.id)]
    for label, name in _LABELS:
        value = facts.get(name)
        if value is None or value == "":
            continue
        if name == "next":
            value = f"{value['title']} by {value['artist']}"
        out.append((label, str(value)))
    return out


def _criteria(kind: Kind) -> list[dict[str, Any]]:
    return [{"name": c.name, "ask": plain(c.ask), "weight": c.weight} for c in kind.rubric.criteria]
