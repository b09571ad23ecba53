"""Songs in a folder of music: by tags, else by file name, with lyrics from tags or from a file beside."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.errors import UserError
from stages.files import TEXT_LIMIT, clean, read_text
from stages.tables import row_of

AUDIO = (
    ".mp3",
    ".flac",
    ".m4a",
    ".mp4",
    ".aac",
    ".ogg",
    ".oga",
    ".opus",
    ".wav",
    ".aiff",
    ".aif",
    ".wma",
    ".ape",
    ".wv",
)


def read_music(source: Path, skipped: list[str]) -> Iterator[dict[str, Any]]:
    """The catalog rows of all music files in `source` and the folders in it; what cannot be read is put in `skipped`.

    Raises:
        UserError: if there are no music files.
    """
    found = False
    for base, folders, names in os.walk(source):  # links to folders are not followed, so it ends
        folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
        for name in sorted(names):
            if name.lower().endswith(AUDIO) and not name.startswith("."):
                found = True
                path = Path(base, name)
                try:
                    song = _track(path)
                except UserError as error:
                    skipped.append(str(error))
                    continue
                song["file_path"] = os.path.relpath(path, source)
                yield song
    if not found:
        raise UserError("no music files were found in this folder", source, f"looked for {' '.join(AUDIO)}")


def _track(path: Path) -> dict[str, Any]:
    """The catalog row of a music file, by its tags, else by its name.

    Raises:
        UserError: if it cannot be read, or neither says which song it is.
    """
    import mutagen

    try:
        if not path.is_file():
            raise UserError("this is not a regular file", where=path)
        tagged, easy = mutagen.File(path), mutagen.File(path, easy=True)
    except (
        mutagen.MutagenError,
        OSError,
        ValueError,
        EOFError,
        IndexError,
        KeyError,
        TypeError,
        OverflowError,
    ) as error:
        raise UserError(f"cannot be read: {clean(str(error))[:150]}", where=path) from None
    tags = dict(easy.tags or {}) if easy is not None else {}
    row = {
        "title": _first(tags, "title"),
        "artist": _first(tags, "artist", "albumartist"),
        "album": _first(tags, "album"),
    }
    row["year"] = _first(tags, "originaldate", "date", "year")
    if not row["title"] or not row["artist"]:
        stem = re.sub(r"^\d{1,3}(?:\s+-\s+|\.\s*|_)(?=.+ - )", "", path.stem)  # a track number
        artist, dash, title = stem.partition(" - ")
        if dash:
            row["title"] = row["title"] or title
            row["artist"] = row["artist"] or artist
    length = getattr(getattr(tagged, "info", None), "length", None)
    if length and length == length:
        row["duration_seconds"] = round(float(length), 3)
    row["lyrics"] = _sidecar(path) or _embedded(tagged)
    song = row_of({key: value for key, value in row.items() if value})
    if song is None:
        raise UserError("neither tags nor file name say title and artist", where=path)
    return song


def _first(tags: dict[str, Any], *names: str) -> str | None:
    for name in names:
        value = tags.get(name)
        value = value[0] if isinstance(value, list) and value else value
        if value is not None and clean(str(value)):
            return str(value)
    return None


def _embedded(tagged: Any) -> str | None:
    """Lyrics in the tags: ID3 USLT, Vorbis comments, MP4."""
    tags = getattr(tagged, "tags", None)
    if not tags:
        return None
    for key in list(tags.keys()):
        if str(key).startswith("USLT") or str(key).lower() in ("lyrics", "unsyncedlyrics", "©lyr", "syncedlyrics"):
            value = tags[key]
            value = getattr(value, "text", value)
            value = value[0] if isinstance(value, list) and value else value
            if isinstance(value, str) and value.strip():
                return value[:TEXT_LIMIT]
    return None


def _sidecar(path: Path) -> str | None:
    """Lyrics beside the music file, under the same name."""
    for suffix in (".lrc", ".txt"):
        beside = path.with_suffix(suffix)
        if beside.is_file():
            try:
                return read_text(beside)
            except UserError:
                continue
    return None
