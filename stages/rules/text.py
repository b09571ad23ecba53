"""A script as the rules read it: names found and masked, so that no rule judges a title by its words.

Titles are odd: "#1 Crush", "50 Ways", "That Was Yesterday", "99½ Won't Do (Pt. 2)". Before any rule looks, each known
name becomes one private-use character (`TITLE`, `ARTIST`, …), together with quotes around it. Names are compared by
*compact form*: accents, case, punctuation and spaces dropped, `&` read as `and`, on word boundaries.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property, lru_cache

from stages.link import Link
from stages.speech import ONES, TEENS, TENS, VALUES, number_to_words, year_to_words

TITLE, ARTIST, NEXT_TITLE, NEXT_ARTIST, NAME = (
    "\ue000",
    "\ue001",
    "\ue002",
    "\ue003",
    "\ue004",
)
MARKS = TITLE + ARTIST + NEXT_TITLE + NEXT_ARTIST + NAME

_STRAIGHT = str.maketrans(
    {
        **dict.fromkeys("’‘ʼ`´′‛", "'"),
        **dict.fromkeys("“”„‟«»″", '"'),
        "\u00a0": " ",
        "–": "—",
    }
)
_TOKEN = re.compile(r"[^\W_]+(?:'(?!s\b)[^\W_]+)*|[&+]")
_ALIAS = {
    "&": "and", "+": "and", "n": "and", "pt": "part", "ft": "featuring", "feat": "featuring", "vs": "versus",
    "mr": "mister", "dr": "doctor",
}  # fmt: skip
_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "þ": "th", "ð": "d", "ı": "i"})
_SMALL = frozenset(
    [
        "the",
        "a",
        "an",
        "of",
        "and",
        "or",
        "in",
        "on",
        "to",
        "for",
        "by",
        "with",
        "at",
        "from",
        "my",
        "your",
        "our",
        "its",
        "is",
        "it",
    ]
)


@lru_cache(maxsize=100_000)
def fold(token: str) -> str:
    """A token without case, accents and apostrophes, abbreviations read out: `Pt` -> `part`, `Krzywosz’` -> `krzywosz`."""
    if token.isascii():
        out = token.lower().replace("'", "")
    else:
        wide = unicodedata.normalize("NFKD", token.casefold().translate(_LETTERS))
        out = "".join(c for c in wide if c.isalnum())
    return _ALIAS.get(out or token, out)


def straighten(text: str) -> str:
    """Typographic quotes, dashes and no-break spaces as plain ones, character for character."""
    return text.translate(_STRAIGHT)


@dataclass(frozen=True, slots=True)
class Name:
    """A title or artist, ready to be looked for.

    Attributes:
        raw: as the catalog has it, quotes straightened.
        forms: the compact forms that count as naming it, longest first; empty for a name without letters or digits.
        cased: whether it is so short that only a capitalised or quoted mention counts (`Stay`, `The Lamps`).
    """

    raw: str
    forms: tuple[str, ...]
    cased: bool


_BRACKETED = re.compile(r"\s*[(\[][^)\]]*[)\]]\s*")
_GUEST = re.compile(r"\s*[(\[]?\b(?:feat\.?|ft\.?|featuring)\s.*$", re.IGNORECASE)
_HALVES = {"½": " and a half", "¼": " and a quarter", "¾": " and three quarters"}


def _compact(text: str) -> str:
    return "".join(fold(t) for t in _TOKEN.findall(text))


def _spoken(text: str) -> str:
    """`text` with its numbers in words, the way a DJ says them."""
    text = "".join(_HALVES.get(c, c) for c in text)
    text = text.replace("#", "number ") if re.search(r"#\d", text) else text

    def say(m: re.Match) -> str:
        n = int(m[0])
        return " " + (year_to_words(n) if 1100 <= n <= 2099 else number_to_words(n)) + " "

    return re.sub(r"(?<!\d)\d{1,4}(?!\d)", say, text)


def _in_digits(text: str) -> str:
    """`text` with its spelled numbers in digits: `Fifty Ways` -> `50 Ways`."""
    one = rf"(?:{'|'.join(TENS)})[- ](?:{'|'.join(ONES)})|{'|'.join(TEENS)}|{'|'.join(TENS)}|{'|'.join(ONES)}"
    return re.sub(
        rf"\b(?:{one})\b",
        lambda m: str(sum(VALUES[w] for w in re.split(r"[- ]", m[0].lower()))),
        text,
        flags=re.IGNORECASE,
    )


@lru_cache(maxsize=100_000)
def name_of(raw: str, whole: bool = False) -> Name:
    """The accepted forms of a title or artist.

    Besides the name itself: without a leading "The", without bracketed parts or guests ("(Pt. 2)", "feat. X"; not when
    `whole`), with numbers in words or in digits, with `$` and `!` inside a word read as letters.
    """
    raw = straighten(raw).strip()
    texts = [raw]
    if not whole:
        for cut in (_BRACKETED.sub(" ", raw).strip(), _GUEST.sub("", raw).strip()):
            if _compact(cut):
                texts.append(cut)
    for text in list(texts):
        if re.search(r"\w[$!]\w|[$]\w", text):
            texts.append(re.sub(r"\$", "s", re.sub(r"(?<=\w)!(?=\w)", "i", text)))
        if re.search(r"\d|[½¼¾]", text):
            texts.append(_spoken(text))
        texts.append(_in_digits(text))
        texts.append(re.sub(r"\bpart (?=i{1,3}\b)", "part ", text, flags=re.IGNORECASE))
    forms = dict.fromkeys(_compact(t) for t in texts)
    for text in texts:
        if m := re.match(r"(?:the|a|an)\s+(?=\S)", text, re.IGNORECASE):
            forms[_compact(text[m.end() :])] = None
        forms[_compact(re.sub(r"(&|\+|\band)\s+the\s", r"\1 ", text, flags=re.IGNORECASE))] = None
    forms.pop("", None)
    content = [t for t in _TOKEN.findall(raw) if fold(t) not in _SMALL]
    cased = len(content) <= 1 and any(c.isupper() for c in raw)
    return Name(raw, tuple(sorted(forms, key=len, reverse=True)), cased)


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
        self.tokens: list[str] = []
        self.spans: list[tuple[int, int]] = []
        starts, ends, at = {}, {}, 0
        for i, m in enumerate(_TOKEN.finditer(self.text)):
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
        return [fold(t) for t in _TOKEN.findall(straighten(text))]

    @cached_property
    def sentences(self) -> list[str]:
        """Sentences of `plain`."""
        return [s for s in _SENTENCE.split(self.plain) if s.strip()]

    @cached_property
    def words(self) -> int:
        """Words as a listener counts them: runs with a letter or digit, between spaces or dashes."""
        return len(_WORD.findall(self.text))

    def find(self, name: Name) -> list[tuple[int, int]]:
        """Where `name` is spoken, as spans of `text`, first accepted form first."""
        found = []
        if not name.forms:
            at = self.text.find(name.raw)
            return [(at, at + len(name.raw))] if name.raw and at >= 0 else []
        for form in name.forms:
            at = self._compact.find(form)
            while at >= 0:
                first, last = self._starts.get(at), self._ends.get(at + len(form))
                if first is not None and last is not None:
                    span = (self.spans[first][0], self.spans[last][1])
                    if not name.cased or self._stands_out(first, last):
                        found.append(span)
                at = self._compact.find(form, at + 1)
        return found

    def _stands_out(self, first: int, last: int) -> bool:
        """Whether a mention of a short name reads as a name: quoted, or capitalised other than by opening a sentence."""
        start, end = self.spans[first][0], self.spans[last][1]
        before, after = self.text[:start].rstrip(), self.text[end:]
        if before[-1:] in ('"', "'", "*") and after.lstrip(".,!?")[:1] in (
            '"',
            "'",
            "*",
        ):
            return True
        if not any(c.isupper() for c in self.text):
            return True
        body = first
        while body < last and self.tokens[body] in _SMALL:
            body += 1
        if not self.text[self.spans[body][0]].isupper() and not self.text[self.spans[body][0]].isdigit():
            return False
        if before and before[-1] not in ".!?:" or body > first:
            return True
        follower = _FOLLOWER.match(after)
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
        spans = [(s, e, mark) for rank, (raw, mark) in enumerate(wanted) for s, e in self.find(name_of(raw))]
        # The longest mention wins ("Marrow Road" over the artist "Marrow"), the song's own names over others'.
        spans.sort(key=lambda m: (m[0] - m[1], m[2]))
        taken: list[tuple[int, int, str]] = []
        for s, e, mark in spans:
            if all(e <= ts or s >= te for ts, te, _ in taken):
                taken.append((s, e, mark))
        taken.sort()
        self.masks = taken
        if not taken:
            return self.text
        parts, at, text = [], 0, self.text
        for s, e, mark in taken:
            s, e, keep = self._with_quotes(s, e)
            s = max(s, at)
            parts += [text[at:s], mark, keep]
            at = e
        return "".join(parts) + text[at:]

    def _with_quotes(self, s: int, e: int) -> tuple[int, int, str]:
        """Widen a name's span over brackets and quotes that belong to it; `keep` is punctuation to leave standing."""
        text = self.text
        if text[e : e + 1] == ")" and text.count("(", s, e) > text.count(")", s, e):
            e += 1
        if text[s - 1 : s] == "(" and text.count(")", s, e) > text.count("(", s, e):
            s -= 1
        if text[s - 1 : s] in ("#", "$", "¿", "¡", "…") and s:
            s -= 1
        opening = text[s - 1 : s] if s else ""
        if opening in ('"', "'", "*", "_"):
            m = re.compile(r"([.,!?…)]{0,3})" + re.escape(opening)).match(text, e)
            if m:
                return s - 1, m.end(), m[1].replace(")", "")
        return s, e, ""

    def count(self, mark: str) -> int:
        """How often a name of this mark is spoken."""
        return self.masked.count(mark)


_SENTENCE = re.compile(r"(?<=[.!?…])[\"')]*\s+|\n+")
_WORD = re.compile(r"[^\s—]*[^\W_][^\s—]*")
_FOLLOWER = re.compile(r"\s+([a-z']+)")
_AFTER_NAME = frozenset(
    [
        "by",
        "from",
        "is",
        "was",
        "off",
        "on",
        "here",
        "there",
        "next",
        "with",
        "and",
        "has",
        "still",
        "coming",
    ]
)
