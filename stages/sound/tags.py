"""What players show of a file: ID3 for MP3 and WAV, Vorbis comments for FLAC and Opus."""

from __future__ import annotations

import io
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tags:
    """Texts of any origin; line breaks and control characters become spaces, empty ones are left out.

    Attributes:
        artist: who speaks: the DJ's name.
        album: the station.
        comment: the link's key, by which a file finds its record again.
    """

    artist: str
    title: str
    album: str
    comment: str
    genre: str = "Speech"

    def clean(self) -> dict[str, str]:
        """Values by lower-case Vorbis name."""
        names = ("artist", "title", "album", "genre", "comment")
        return {name: text for name in names if (text := one_line(getattr(self, name)))}


def one_line(text: str | None) -> str:
    """`text` on one line, without control characters and lone surrogates (which no encoding can write)."""
    kept = "".join(c if c >= " " and not "\x7f" <= c <= "\x9f" else " " for c in text or "")
    return " ".join(kept.encode("utf-8", "replace").decode().split())


def tag(blob: bytes, format: str, tags: Tags) -> bytes:
    """The audio file `blob` of `format` with `tags` in place of any it had."""
    file = io.BytesIO(blob)
    if format in ("mp3", "wav"):
        _id3(file, format, tags.clean())
    else:
        _vorbis(file, format, tags.clean())
    return file.getvalue()


def _id3(file: io.BytesIO, format: str, texts: dict[str, str]) -> None:
    from mutagen import id3
    from mutagen.mp3 import MP3
    from mutagen.wave import WAVE

    audio = (MP3 if format == "mp3" else WAVE)(file)
    audio.delete(file)
    file.seek(0)
    audio = (MP3 if format == "mp3" else WAVE)(file)
    audio.add_tags()
    frames = {"artist": id3.TPE1, "title": id3.TIT2, "album": id3.TALB, "genre": id3.TCON}
    utf16 = id3.Encoding.UTF16  # with version 2.3, what every player reads
    for name, frame in frames.items():
        if name in texts:
            audio.tags.add(frame(encoding=utf16, text=[texts[name]]))
    if "comment" in texts:
        audio.tags.add(id3.COMM(encoding=utf16, lang="eng", desc="", text=[texts["comment"]]))
    file.seek(0)
    audio.save(file, v2_version=3)


def _vorbis(file: io.BytesIO, format: str, texts: dict[str, str]) -> None:
    from mutagen.flac import FLAC
    from mutagen.oggopus import OggOpus

    audio = (FLAC if format == "flac" else OggOpus)(file)
    if audio.tags is None:
        audio.add_tags()
    audio.tags.clear()
    audio.tags.update({name: [text] for name, text in texts.items()})
    file.seek(0)
    audio.save(file)
