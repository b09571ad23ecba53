"""A script cut into chunks T3 can say in one breath, spelled out, with the pause that follows each.

    for chunk in spoken_chunks("Next: 99 Tides by Mr. Low & Co. At 7:30 AM…", keep=["99 Tides", "Mr. Low & Co."]):
        chunk.text, chunk.pause_ms

Sentences are found by Wikimedia's `sentencex` (some 300 languages, no model). A chunk has 30 to 280 characters: T3
rambles on shorter ones and loses its place in longer ones. Chunks end at the strongest boundary to be had.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stages.tts.chatterbox.spelling import spell_out

SHORTEST, LONGEST = 30, 280
PAUSES_MS: Mapping[str, int] = {"word": 0, "clause": 120, "sentence": 300, "paragraph": 600}
TURBO_TAGS = ("laugh", "chuckle", "cough", "sigh", "gasp", "groan", "sniff", "shush", "clear throat")
_TAG = re.compile(r"\[\s*([a-z][a-z ]{0,30})\s*\]", re.I)
_CLAUSE_END = re.compile(r"(?<=[,;:—–])\s+|(?<=[、，；：])")
_BREAK_COST = {"paragraph": 0, "sentence": 20, "clause": 160, "word": 400}
_CHUNK_COST, _SHORT_COST, _JOINED_PARAGRAPHS_COST = 100, 2000, 120


@dataclass(frozen=True)
class Chunk:
    """What T3 says at once, and the silence after it in milliseconds (0 after the last)."""

    text: str
    pause_ms: int


@dataclass(frozen=True)
class _Piece:
    """A stretch that is never cut, and what kind of boundary ends it."""

    text: str
    end: str


def spoken_chunks(
    script: str,
    language: str = "en",
    keep: Sequence[str] = (),
    tags: bool = False,
    pauses_ms: Mapping[str, int] = PAUSES_MS,
) -> list[Chunk]:
    """`script` as chunks; empty where it has nothing to say.

    Args:
        language: BCP 47 tag.
        keep: titles and names that are said as they are written and never cut. One without letters ("1999") is still
            spelled out as a number.
        tags: let `TURBO_TAGS` such as `[laugh]` through (Turbo). All other bracketed directions are taken out.
        pauses_ms: by boundary: `word`, `clause`, `sentence`, `paragraph`.
    """
    text = _clean(script)
    text = _TAG.sub(lambda m: f"[{m[1].strip().lower()}]" if tags and _is_tag(m[1]) else " ", text)
    text, kept = _hide(text, [*keep, *(f"[{tag}]" for tag in TURBO_TAGS if tags)])
    text = spell_out(text, language)
    pieces = [p for paragraph in re.split(r"\n+", text) for p in _pieces(paragraph, language)]
    if not any(c.isalnum() for piece in pieces for c in piece.text):
        return []
    groups = _grouped(pieces)
    chunks = []
    for i, group in enumerate(groups):
        spoken = _show(re.sub(r"\s+", " ", " ".join(p.text for p in group)).strip(), kept)
        chunks.append(Chunk(spoken, 0 if i == len(groups) - 1 else pauses_ms[group[-1].end]))
    return chunks


def _is_tag(name: str) -> bool:
    return name.strip().lower() in TURBO_TAGS


def _clean(script: str) -> str:
    """NFC, plain spaces, no control characters, typographic quotes made plain."""
    text = unicodedata.normalize("NFC", script).replace("\r\n", "\n").replace("\r", "\n")
    text = text.translate(str.maketrans("“”„«»‘’‚", '"""""' + "'''"))
    text = "".join(c if c == "\n" or not unicodedata.category(c).startswith("C") else " " for c in text)
    return re.sub(r"[^\S\n]+", " ", text).strip()


def _hide(text: str, keep: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Put a made-up word of the same length in place of each kept span, so that no rule sees into it."""
    kept: dict[str, str] = {}
    spans = sorted({_clean(s) for s in keep if any(c.isalpha() for c in s)}, key=len, reverse=True)
    for span in spans:

        def word(m: re.Match[str]) -> str:
            number, letters = len(kept), ""
            while number or not letters:
                number, digit = divmod(number, 26)
                letters += string.ascii_lowercase[digit]
            stand_in = f"Zq{letters}".ljust(len(m[0]) - 1, "x") + "z"
            kept[stand_in] = m[0]
            return stand_in

        left, right = (r"(?<!\w)" if span[0].isalnum() else ""), (r"(?!\w)" if span[-1].isalnum() else "")
        text = re.sub(left + re.escape(span) + right, word, text, flags=re.I)
    return text, kept


def _show(text: str, kept: Mapping[str, str]) -> str:
    for stand_in, span in kept.items():
        text = text.replace(stand_in, span)
    return text


def _pieces(paragraph: str, language: str) -> list[_Piece]:
    """Clauses of a paragraph, each with the boundary that ends it."""
    import sentencex

    pieces: list[_Piece] = []
    for sentence in sentencex.segment(language.split("-")[0], paragraph):
        clauses = [c for c in _CLAUSE_END.split(sentence.strip()) if c.strip()]
        for i, clause in enumerate(clauses):
            end = "sentence" if i == len(clauses) - 1 else "clause"
            words = _cut(clause.strip())
            pieces += [_Piece(part, "word") for part in words[:-1]] + [_Piece(words[-1], end)]
    if pieces:
        pieces[-1] = _Piece(pieces[-1].text, "paragraph")
    return pieces


def _cut(clause: str) -> list[str]:
    """A clause too long for any chunk, in near equal parts between words (anywhere, where there are no spaces)."""
    if len(clause) <= LONGEST:
        return [clause]
    middle = len(clause) // 2
    spaces = [m.start() for m in re.finditer(" ", clause)]
    at = min(spaces, key=lambda i: abs(i - middle), default=middle)
    return _cut(clause[:at].rstrip()) + _cut(clause[at:].lstrip())


def _grouped(pieces: Sequence[_Piece]) -> list[list[_Piece]]:
    """Neighbouring pieces as chunks of least cost: few, none short, cut at strong boundaries (dynamic programming)."""
    best: list[tuple[float, int]] = [(0.0, 0)]  # cost of pieces[:end], and where its last chunk starts
    for end in range(1, len(pieces) + 1):
        options = []
        length, joined = -1, 0.0
        for start in range(end - 1, -1, -1):
            length += len(pieces[start].text) + 1
            if start < end - 1 and pieces[start].end == "paragraph":
                joined += _JOINED_PARAGRAPHS_COST
            if length > LONGEST and start < end - 1:
                break
            cost = _CHUNK_COST + joined + (_SHORT_COST if length < SHORTEST else 0)
            cost += _BREAK_COST[pieces[end - 1].end] + 20 * (length / LONGEST) ** 2  # even lengths, all else equal
            options.append((best[start][0] + cost, start))
        best.append(min(options))
    groups, end = [], len(pieces)
    while end:
        start = best[end][1]
        groups.append(list(pieces[start:end]))
        end = start
    return groups[::-1]
