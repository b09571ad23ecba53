"""Songs from a catalog file: `{"songs": [{id, file_path, artist, title, album, year, duration_seconds, …}]}` or JSONL.

Beside those, a row may have `intro_seconds` (music before the vocals), `themes` (a list of words) and `lyrics`.
All bad rows of a file are reported together.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from engine.errors import UserError
from stages.files import clean, decode, read_bytes
from stages.ids import safe_id
from stages.link import Song
from stages.lyrics import parse_lyrics
from stages.titles import spoken_artist, spoken_title

CATALOG_LIMIT = 1 << 30  # bytes; a million songs take about a quarter of it
TEXT_MOST = 300  # characters of a title, artist or album
SHOWN_ERRORS = 25

_NAMES = ("catalog.json", "catalog.jsonl")


def load_catalog(path: Path) -> list[Song]:
    """The songs of a catalog file, or of the one `catalog.json` or `catalog.jsonl` in a station folder.

    Raises:
        UserError: if there is none or two, it cannot be read, or rows are bad (all of them in one error).
    """
    if os.path.isdir(path) and not path.name.endswith((".json", ".jsonl")):
        there = [path / name for name in _NAMES if (path / name).exists() or (path / name).is_symlink()]
        if not there:
            raise UserError(
                "the station has no catalog",
                where=path,
                fix="put a catalog.json or catalog.jsonl there",
            )
        if len(there) > 1:
            raise UserError(
                "both catalog.json and catalog.jsonl are there",
                where=path,
                fix="remove one",
            )
        path = there[0]
    return parse_catalog(read_bytes(path, CATALOG_LIMIT), path)


def parse_catalog(data: bytes, where: str | Path, lines: bool | None = None) -> list[Song]:
    """The songs in the bytes of a catalog.

    Args:
        data: JSON (an object with `songs`, or a bare list) or JSON lines.
        where: the name errors are given, usually the path.
        lines: whether it is JSON lines; by default, whether `where` ends in `.jsonl`.

    Raises:
        UserError: as `load_catalog`.
    """
    if data[:3] == b"\xef\xbb\xbf":
        data = data[3:]
    if not data.strip():
        raise UserError("the catalog is empty", where=where)
    lines = str(where).endswith((".jsonl", ".ndjson")) if lines is None else lines
    errors: list[UserError] = []
    rows = _json_lines(data, where, errors) if lines else _json_rows(data, where)
    songs: list[Song] = []
    seen: dict[str, str] = {}
    for place, row in rows:
        song = _song(row, place, errors)
        if song is None:
            continue
        if song.id in seen:
            problem = f"the id {row['id']!r} was used before, at {seen[song.id]}"
            errors.append(UserError(problem, where=place, fix="every song needs an id of its own"))
            continue
        seen[song.id] = place.rpartition(":")[2].strip()
        songs.append(song)
    if errors:
        if (more := len(errors) - SHOWN_ERRORS) > 0:
            errors = [
                *errors[:SHOWN_ERRORS],
                UserError(f"and {more:,} more bad rows", where=where),
            ]
        raise UserError.of_many(errors)
    if not songs:
        raise UserError("the catalog has no songs", where=where)
    return songs


def _json_rows(data: bytes, where: str | Path) -> Iterator[tuple[str, Any]]:
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        decode(data, where)  # a wrong encoding is the likelier cause, and says so
        raise UserError(f"not valid JSON: {error.msg}", where=f"{where}:{error.lineno}") from None
    songs = value.get("songs") if isinstance(value, dict) else value
    if not isinstance(songs, list):
        raise UserError(
            f"'songs' must be a list, is {_type(songs)}",
            where=where,
            fix='{"songs": [{…}, …]}',
        )
    return ((f"{where}: song {number}", row) for number, row in enumerate(songs, 1))


def _json_lines(data: bytes, where: str | Path, errors: list[UserError]) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        place = f"{where}:{number}"
        try:
            yield place, orjson.loads(line)
        except orjson.JSONDecodeError as error:
            try:
                decode(line, place)
                errors.append(UserError(f"not valid JSON: {error.msg}", where=place))
            except UserError as encoding:
                errors.append(UserError(encoding.problem, where=place, fix=encoding.fix))


@dataclass(frozen=True, slots=True)
class _Field:
    """What a column holds: `type`; whether rows `need` it; bounds of a number, or the most characters of a text."""

    type: type
    need: bool = False
    least: float = -math.inf
    most: float = TEXT_MOST


_FIELDS = {
    "title": _Field(str, need=True),
    "artist": _Field(str, need=True),
    "album": _Field(str),
    "file_path": _Field(str, most=4_096),
    "year": _Field(int, least=1000, most=2999),
    "duration_seconds": _Field(float, least=0, most=360_000),
    "intro_seconds": _Field(float, least=0, most=3_600),
}


def _song(row: Any, place: str, errors: list[UserError]) -> Song | None:
    """The song of one row; None, with what is wrong appended to `errors`, where it is bad."""
    if not isinstance(row, dict):
        errors.append(UserError(f"a song must be an object, is {_type(row)}", where=place))
        return None
    before = len(errors)
    raw = row.get("id")
    if isinstance(raw, int) and not isinstance(raw, bool):
        raw = str(raw)
    if raw is None or (isinstance(raw, str) and not raw.strip()):
        errors.append(UserError("'id' is missing", where=place))
    elif not isinstance(raw, str):
        errors.append(UserError(f"'id' must be text or a whole number, is {_type(raw)}", where=place))
    values: dict[str, Any] = {}
    for name, field in _FIELDS.items():
        value = row.get(name)
        if value is None:
            if field.need:
                errors.append(UserError(f"'{name}' is missing", where=place))
        elif field.type is str and type(value) is str:
            value = clean(value)
            if field.need and not value:
                errors.append(UserError(f"'{name}' is empty", where=place))
            elif len(value) > field.most:
                problem = f"'{name}' has {len(value):,} characters, at most {field.most:g} make sense"
                errors.append(UserError(problem, where=place))
            values[name] = value or None
        elif type(value) is int or (field.type is float and type(value) is float):
            if field.type is str:
                errors.append(UserError(f"'{name}' must be text, is a number", where=place))
            elif not field.least <= value <= field.most:
                problem = f"'{name}' must be between {field.least:g} and {field.most:g}, is {value:g}"
                errors.append(UserError(problem, where=place))
            values[name] = value
        else:
            wanted = {str: "text", int: "a whole number", float: "a number"}[field.type]
            errors.append(UserError(f"'{name}' must be {wanted}, is {_type(value)}", where=place))
    themes = row.get("themes")
    if themes is not None and not (isinstance(themes, list) and all(isinstance(t, str) for t in themes)):
        errors.append(UserError(f"'themes' must be a list of texts, is {_type(themes)}", where=place))
    lyrics = row.get("lyrics")
    if lyrics is not None and not isinstance(lyrics, str):
        errors.append(UserError(f"'lyrics' must be text, is {_type(lyrics)}", where=place))
    if len(errors) > before:
        return None
    values["title"] = spoken_title(values["title"])
    values["artist"] = spoken_artist(values["artist"])
    return Song(
        id=safe_id(raw),
        lyrics=parse_lyrics(lyrics).text if lyrics else None,
        themes=tuple(filter(None, (clean(t)[:80] for t in themes[:8]))) if themes else (),
        **values,
    )


def _type(value: Any) -> str:
    """`value`'s JSON type, as a person would call it."""
    names = {
        type(None): "nothing",
        bool: "true/false",
        int: "a number",
        float: "a number",
        str: "text",
        list: "a list",
    }
    return names.get(type(value), "an object")
