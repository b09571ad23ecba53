"""Lyrics: text files in the forms people have. Which song a file is of, `stages.lyrics_join` says.

Forms of a file (`.txt` or `.lrc`), also mixed:

* plain: `<Title> by <Artist>.txt`, the first line the same, an empty line, the text;
* headers `Title: / Artist: / Provider: / Instrumental:` and a line `---` before the text;
* LRC: `[mm:ss.xx]` before each line, tags such as `[ti:…]` and `[ar:…]`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice

from stages.files import clean, clean_lines

STAMPS_MOST = 50  # times one line may come back
NAME_MOST = 300  # characters of a title or artist

_HEADER = re.compile(
    r"(title|artist|album|provider|source|instrumental|language|year|url|id|isrc)\s*:\s*(.*)",
    re.IGNORECASE,
)
_TAG = re.compile(
    r"\[(ti|ar|al|au|by|re|ve|la|length|offset|id|lr|tool|#)\s*:\s*(.*)\]",
    re.IGNORECASE,
)
_STAMPS = re.compile(r"((?:\[\d{1,3}:\d{1,2}(?:[.:]\d{1,3})?\]\s*)+)(.*)")
_STAMP = re.compile(r"\[(\d{1,3}):(\d{1,2})(?:[.:](\d{1,3}))?\]")
_WORD_STAMP = re.compile(r"<\d{1,3}:\d{2}(?:[.:]\d{1,3})?>")
_LABEL = re.compile(
    r"[\[(]\s*(?:(?:pre-?|post-?)?chorus|verse|bridge|refrain|hook|intro|outro|interlude|solo|coda|repeat)\b[^\])]*[\])]",
    re.IGNORECASE,
)
_INSTRUMENTAL = re.compile(r"[\[(]?\s*instrumental\s*[\])]?\.?", re.IGNORECASE)
_YES = {"true", "yes", "1", "y"}


@dataclass(frozen=True, slots=True)
class ParsedLyrics:
    """What a lyrics file says: `text` is None where it has none, as for an instrumental."""

    text: str | None
    title: str | None = None
    artist: str | None = None
    instrumental: bool = False


def parse_lyrics(text: str) -> ParsedLyrics:
    """Read a lyrics text in any of the module's forms.

    The lyrics come out plain: one line a line, verses parted by one empty line, no time stamps, headers or labels
    such as `[Chorus]`. A first line that only names the song stays: `join_lyrics`, which knows the name, removes it.
    """
    lines = clean_lines(text)
    facts: dict[str, str] = {}
    lines = _take_headers(lines, facts)
    timed: list[tuple[float, int, bool, str]] = []
    now, gap = 0.0, False
    for number, line in enumerate(lines):
        if not line:
            gap = True
            continue
        if match := _TAG.fullmatch(line):
            facts.setdefault(
                {"ti": "title", "ar": "artist"}.get(match[1].lower(), match[1].lower()),
                clean(match[2]),
            )
            continue
        times = [now]
        if match := _STAMPS.match(line):
            times = [
                int(m[1]) * 60 + int(m[2]) + float(f"0.{m[3] or 0}")
                for m in islice(_STAMP.finditer(match[1]), STAMPS_MOST)
            ]
            line = match[2]
        line = clean(_WORD_STAMP.sub("", line)) if "<" in line else line.strip()
        if not line or _LABEL.fullmatch(line):
            gap = True
            continue
        timed.extend((time, number, gap, line) for time in times)
        now, gap = times[0], False
    timed.sort(key=lambda entry: entry[:2])
    out: list[str] = []
    for _, _, gap, line in timed:
        if gap and out:
            out.append("")
        out.append(line)
    instrumental = facts.get("instrumental", "").lower() in _YES
    if len(out) == 1 and _INSTRUMENTAL.fullmatch(out[0]):
        instrumental, out = True, []
    return ParsedLyrics(
        "\n".join(out) if out and not instrumental else None,
        facts.get("title", "")[:NAME_MOST] or None,
        facts.get("artist", "")[:NAME_MOST] or None,
        instrumental,
    )


def _take_headers(lines: list[str], facts: dict[str, str]) -> list[str]:
    """Put the headers `lines` begin with into `facts`; the lines that are left.

    Headers count only when a line of dashes or an empty line ends them and one of them is `Title`: a song may well
    begin "Artist: that's what they call me".
    """
    start = next((i for i, line in enumerate(lines) if line), len(lines))
    found: dict[str, str] = {}
    for i in range(start, len(lines)):
        line = lines[i]
        if match := _HEADER.fullmatch(line):
            found.setdefault(match[1].lower(), match[2].strip())
        elif line and not line.strip("-—–="):
            facts.update(found)
            return lines[i + 1 :] if found else lines
        elif line:
            if "title" not in found or lines[i - 1]:
                return lines
            facts.update(found)
            return lines[i:]
    facts.update(found if "title" in found else {})
    return [] if "title" in found else lines
