"""A link and what it speaks of: song, clock time or forecast, in the voice of a DJ.

Plain values without behaviour beyond their own spelling; `station.py` reads them from the user's folder.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WORDS_PER_SECOND = 2.5  # speaking pace that turns a song's intro_seconds into a word budget


@dataclass(frozen=True, slots=True)
class Song:
    """One catalog entry. `title` and `artist` are as they are spoken ("- Remastered 2011" already removed).

    Attributes:
        duration_seconds, intro_seconds: whole song, and music before the vocals.
        lyrics: plain text, one line a line, without time stamps; None where none was found.
    """

    id: str
    title: str
    artist: str
    album: str | None = None
    year: int | None = None
    duration_seconds: float | None = None
    intro_seconds: float | None = None
    lyrics: str | None = None
    themes: tuple[str, ...] = ()
    file_path: str | None = None


@dataclass(frozen=True, slots=True)
class ClockTime:
    """A time check: `id` is `HH-MM` (24 h), `spoken` how the station says it, e.g. `7:30 AM`."""

    id: str
    hour: int
    minute: int
    spoken: str


@dataclass(frozen=True, slots=True)
class Forecast:
    """One entry of the station's forecast file; temperatures in the station's own unit."""

    id: str
    period: str
    conditions: str
    high: int | None = None
    low: int | None = None
    hour: int | None = None
    minute: int | None = None


@dataclass(frozen=True, slots=True)
class DJ:
    """A voice of the station.

    Attributes:
        persona: the card that goes into system prompts, Markdown.
        examples: example lines by kind.
        voice: reference clip for cloning synthesizers, None where there is none.
        language: BCP 47 tag, e.g. `en`.
        tts: settings by synthesizer name, e.g. `{"espeak": {"voice": "en-gb", "rate": 165}}`.
    """

    id: str
    name: str
    persona: str
    examples: dict[str, tuple[str, ...]] = field(default_factory=dict)
    voice: Path | None = None
    language: str = "en"
    tts: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Link:
    """One thing to be spoken.

    Attributes:
        kind: name of the kind, e.g. `intro`.
        words: least and most words the script may have; the most already respects `intro_seconds`.
        next_song: the song after this one in the catalog, for kinds that may tease it.
    """

    dj: DJ
    kind: str
    subject: Song | ClockTime | Forecast | None
    words: tuple[int, int]
    next_song: Song | None = None

    @property
    def key(self) -> str:
        """`dj/kind/subject`: never changes for the same link, and sorts related links together."""
        return f"{self.dj.id}/{self.kind}/{self.subject.id if self.subject else 'station'}"

    @property
    def song(self) -> Song | None:
        """The song, where the subject is one."""
        return self.subject if isinstance(self.subject, Song) else None

    @property
    def time(self) -> ClockTime | None:
        """The clock time, where the subject is one."""
        return self.subject if isinstance(self.subject, ClockTime) else None

    @property
    def forecast(self) -> Forecast | None:
        """The forecast, where the subject is one."""
        return self.subject if isinstance(self.subject, Forecast) else None
