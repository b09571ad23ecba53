"""A script as the rules read it: names found and masked, so that no rule judges a title by its words.

Titles are odd: "#1 Crush", "50 Ways", "That Was Yesterday", "99½ Won't Do (Pt. 2)". Before any rule looks, each known
name becomes one private-use character (`TITLE`, `ARTIST`, …), together with quotes around it.
"""

from __future__ import annotations

import re
from functools import cached_property

from stages.link import Link
from stages.rules.spelling import COMMON, SMALL, TOKEN, Name, fold, name_of, straighten

TITLE, ARTIST, NEXT_TITLE, NEXT_ARTIST, NAME = "\ue000", "\ue001", "\ue002", "\ue003", "\ue004"
MARKS = TITLE + ARTIST + NEXT_TITLE + NEXT_ARTIST + NAME
_NO_MARKS = dict.fromkeys(map(ord, MARKS), "\ufffd")


class Script:
    """One script text, read for one link.

    Attributes:
        text: the text, quotes straightened, edges stripped; positions are those of the stripped original.
        raw: the stripped original.
        tokens: folded words; `spans[i]` is where token i stands in `text`.
        masked: `text` with known names masked (case kept).
        plain: `masked` in lower case, for patterns.
        named: how often each mark occurs.
    """

    def __init__(self, script: str, link: Link, protect: tuple[str, ...] = ()):
        self.raw = script.strip()
        self.text = straighten(self.raw)
        if not self.text.isascii():
            self.text = self.text.translate(_NO_MARKS)  # nobody else may write our marks
        self.tokens: list[str] = []
        self.spans: list[tuple[int, int]] = []
        starts, ends, at = {}, {}, 0
        for i, m in enumerate(TOKEN.finditer(self.text)):
            folded = fold(m[0])
            self.tokens.append(folded)
            self.spans.append(m.span())
            starts[at] = i
            at += len(folded)
            ends[at] = i
        self._starts, self._ends, self._compact = starts, ends, "".join(self.tokens)
        self.masks: list[tuple[int, int, str]] = []
        self.masked = self._mask(link, protect)
        self.plain = self.masked.lower()

    @staticmethod
    def words_of(text: str) -> list[str]:
        """Folded words of any text, as `tokens` has them."""
        return [fold(t) for t in TOKEN.findall(straighten(text))]

    @cached_property
    def sentences(self) -> list[str]:
        """Sentences of `plain`."""
        return [s for s in _SENTENCE.split(self.plain) if s.strip()]

    @cached_property
    def words(self) -> int:
        """Words as a listener counts them: runs with a letter or digit, between spaces or dashes."""
        return len(_WORD.findall(self.text))

    def find(self, name: Name) -> list[tuple[int, int]]:
        """Where `name` is spoken, as spans of `text`, longest accepted form first."""
        if not name.forms:
            at = self.text.find(name.raw)
            return [(at, at + len(name.raw))] if name.raw and at >= 0 else []
        found = []
        for form in name.forms:
            at = self._compact.find(form)
            while at >= 0:
                first, last = self._starts.get(at), self._ends.get(at + len(form))
                if (
                    first is not None
                    and last is not None
                    and not (self.tokens[first] == "s" and self.text[self.spans[first][0] - 1] == "'")
                    and ('"' in name.raw or not self._part_of_quote(first, last))
                    and (form not in name.short or self._stands_out(first, last))
                ):
                    found.append((self.spans[first][0], self.spans[last][1]))
                at = self._compact.find(form, at + 1)
        return found

    def _part_of_quote(self, first: int, last: int) -> bool:
        """Whether the words are only part of a quoted title: "Don't You" in "Don't You Want Me"."""
        text, (start, _), (_, end) = self.text, self.spans[first], self.spans[last]
        if text[start - 1 : start] == '"' and start:
            closing = text.find('"', end)
            rest = text[end:closing] if closing >= 0 else ""
            extra = TOKEN.findall(rest)
            return bool(extra) and len(extra) <= 6 and not _OUTSIDE.match(rest)
        if text[end : end + 1] == '"' or text[end + 1 : end + 2] == '"' and text[end : end + 1] in ",.!?":
            if text.count('"', 0, start) % 2 == 0:
                return False
            opening = text.rfind('"', 0, start)
            extra = TOKEN.findall(text, opening, start)
            return bool(extra) and len(extra) <= 6 and fold(extra[-1]) not in ("by", "from", "with", "the")
        return False

    def _stands_out(self, first: int, last: int) -> bool:
        """Whether a mention of a one-word name reads as a name: quoted,
        or capitalised other than by opening a sentence."""
        text, (start, _), (_, end) = self.text, self.spans[first], self.spans[last]
        before, after = text[:start].rstrip(" #$"), text[end : end + 40]
        if before[-1:] and before[-1:] in "\"'*_" and after.lstrip(".,!?…")[:1] in ('"', "'", "*", "_"):
            return True
        body = first
        while body < last and self.tokens[body] in SMALL:
            body += 1
        initial = text[self.spans[body][0]]
        follower = _FOLLOWER.match(after)
        if "".join(self.tokens[first : last + 1]).isdigit():
            return bool(_NAMED.search(before)) or bool(follower and follower[1] in ("by", "from"))
        if not initial.isupper() and not initial.isdigit():
            return initial == text[start] and not any(c.isupper() for c in text)
        if body > first or (before and before[-1] not in ".!?:…") or self.tokens[body] not in COMMON:
            return True
        return not follower or follower[1] in _AFTER_NAME

    def _mask(self, link: Link, protect: tuple[str, ...]) -> str:
        song, coming = link.song, link.next_song
        wanted: list[tuple[str, str]] = []
        if song:
            wanted += [(song.title, TITLE), (song.artist, ARTIST)]
            if song.album:
                wanted.append((song.album, NAME))
        if coming:
            wanted += [(coming.title, NEXT_TITLE), (coming.artist, NEXT_ARTIST)]
        wanted += [(p, NAME) for p in (link.dj.name, *protect) if p]
        named = [(name_of(raw), mark) for raw, mark in wanted]
        spans = [(s, e, mark, name.raw) for name, mark in named for s, e in self.find(name)]
        # The longest mention wins ("Marrow Road" over the artist "Marrow"), the song's own names over others'.
        spans.sort(key=lambda m: (m[0] - m[1], m[2]))
        taken: list[tuple[int, int, str, str]] = []
        for s, e, mark, raw in spans:
            if self.text[e : e + 1] == "." and self.text[e + 1 : e + 2].islower():
                continue  # part of an address
            if all(e <= ts or s >= te for ts, te, _, _ in taken):
                taken.append((s, e, mark, raw))
        taken.sort()
        self.masks = [m[:3] for m in taken]
        if not taken:
            return self.text
        parts, at, text = [], 0, self.text
        for s, e, mark, raw in taken:
            said = text[s:e]
            noise = "" if said == raw else "".join(c for c in _NOISE.findall(said) if c not in raw)
            s, e, keep = self._with_quotes(s, e, raw)
            s = max(s, at)
            parts += [text[at:s], mark, noise, keep]
            at = e
        return "".join(parts) + text[at:]

    def _with_quotes(self, s: int, e: int, raw: str) -> tuple[int, int, str]:
        """Widen a name's span over brackets and quotes that belong to it; `keep` is punctuation to leave standing."""
        text = self.text
        lead, trail = _EDGES.match(raw).groups()
        if lead and text.endswith(lead, 0, s):
            s -= len(lead)
        if trail and text.startswith(trail, e):
            e += len(trail)
        if text[e : e + 1] == ")" and text.count("(", s, e) > text.count(")", s, e):
            e += 1
        if text[s - 1 : s] == "(" and text.count(")", s, e) > text.count("(", s, e):
            s -= 1
        opening = text[s - 1 : s] if s else ""
        if opening in _CLOSING and (m := _CLOSING[opening].match(text, e)):
            return s - 1, m.end(), m[1].replace(")", "")
        return s, e, ""

    def count(self, mark: str) -> int:
        """How often a name of this mark is spoken."""
        return self.masked.count(mark)


_SENTENCE = re.compile(r"(?<=[.!?…])[\"')]*\s+|\n+")
_WORD = re.compile(r"[^\W_][^\s—]*")
_FOLLOWER = re.compile(r"\s+([a-z']+)")
_AFTER_NAME = frozenset("by from is was gave sang took brought did asked told".split())
_OUTSIDE = re.compile(r"[\s,]*(?:by|from|with)\b")
_NAMED = re.compile(r"\b(?:is|was|called|titled|played|heard|with)$")
_EDGES = re.compile(r"([\W_]*).*?([\W_]*)$", re.S)
_NOISE = re.compile(r"""[^\w\s'".,&+!?():/…—-]""")  # in the middle of a name, and not part of it
_CLOSING = {q: re.compile(r"([.,!?…)]{0,3})" + q) for q in "\"'"}
