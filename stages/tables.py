"""Songs in tables people have: CSV, JSON lines, Parquet, JSON, with columns by whatever name."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from engine.errors import UserError
from stages.catalog import CATALOG_LIMIT
from stages.files import clean, decode, read_bytes

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
_COLUMNS = {
    "id": "id track_id trackid spotify_id isrc track_uri",
    "title": "title name track track_name trackname song song_title",
    "artist": "artist artists artist_name artist_names artistname performer band album_artist",
    "album": "album album_name albumname release",
    "year": "year date release_date released album_release_date originalyear",
    "duration_seconds": "duration_seconds duration length seconds time track_duration",
    "duration_ms": "duration_ms track_duration_ms length_ms milliseconds",
    "intro_seconds": "intro_seconds intro intro_length ramp",
    "lyrics": "lyrics lyric text",
    "themes": "themes theme tags mood moods",
    "file_path": "file_path path file filename location url",
}
_BY_NAME = {name: column for column, names in _COLUMNS.items() for name in names.split()}


def read_table(path: Path, skipped: list[str]) -> Iterator[dict[str, Any]]:
    """The catalog rows of a table; what is no song is named in `skipped`.

    Raises:
        UserError: if the file cannot be read, or has no columns for title and artist.
    """
    readers = {".csv": _csv, ".tsv": _csv, ".json": _json, ".parquet": _parquet}
    for place, row in readers.get(path.suffix.lower(), _jsonl)(path, skipped):
        if not isinstance(row, dict):
            skipped.append(f"{place}: is no row with columns")
        elif song := row_of(row):
            yield song
        else:
            skipped.append(f"{place}: names no {'artist' if named(row).get('title') else 'title'}")


def _csv(path: Path, skipped: list[str]) -> Iterator[tuple[str, Any]]:
    text = decode(read_bytes(path, CATALOG_LIMIT), path)
    head = text[:8192].partition("\n")[0]
    delimiter = max(",;\t|", key=head.count)
    csv.field_size_limit(4 * 1024 * 1024)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    known = {_BY_NAME.get(_column(name)) for name in reader.fieldnames or ()}
    if not {"title", "artist"} <= known:
        missing = " and ".join(f"'{name}'" for name in ("title", "artist") if name not in known)
        raise UserError(f"has no column {missing}", f"{path}:1", f"its columns: {clean(head)[:150]}")
    try:
        for row in reader:
            yield f"{path}:{reader.line_num}", row
    except csv.Error as error:
        raise UserError(f"not valid CSV: {error}", where=f"{path}:{reader.line_num}") from None


def _jsonl(path: Path, skipped: list[str]) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(read_bytes(path, CATALOG_LIMIT).removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if line.strip():
            try:
                yield f"{path}:{number}", orjson.loads(line)
            except orjson.JSONDecodeError as error:
                skipped.append(f"{path}:{number}: not valid JSON: {error.msg}")


def _json(path: Path, skipped: list[str]) -> Iterator[tuple[str, Any]]:
    data = read_bytes(path, CATALOG_LIMIT).removeprefix(b"\xef\xbb\xbf")
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        decode(data, path)
        raise UserError(f"not valid JSON: {error.msg}", where=f"{path}:{error.lineno}") from None
    rows = value.get("songs", value.get("tracks")) if isinstance(value, dict) else value
    if not isinstance(rows, list):
        raise UserError("holds no list of songs", where=path, fix='{"songs": [{…}, …]}')
    yield from ((f"{path}: song {number}", row) for number, row in enumerate(rows, 1))


def _parquet(path: Path, skipped: list[str]) -> Iterator[tuple[str, Any]]:
    read_bytes(path, CATALOG_LIMIT)[:0]  # the same checks as for other files
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise UserError("reading Parquet needs pyarrow", path, "install the 'ray' extra, or export it as CSV") from None
    try:
        with parquet.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(batch_size=10_000):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{path}: row {number}", row
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"not valid Parquet: {clean(str(error))[:200]}", where=path) from None


def _column(name: Any) -> str:
    """A column's name in our spelling: "Artist Name(s)" is `artist_names`, "Duration (ms)" `duration_ms`."""
    return re.sub(r"[^a-z0-9]+", "_", re.sub(r"\(s\)", "s", str(name).casefold())).strip("_")


def named(row: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in row.items():
        column = _BY_NAME.get(_column(name))
        if column and value not in (None, "") and column not in out:
            out[column] = value
    return out


def row_of(row: dict[str, Any]) -> dict[str, Any] | None:
    """A catalog row of a table's row; None where it names no song."""
    given = named(row)
    song: dict[str, Any] = {}
    for column in ("title", "artist", "album", "file_path"):
        value = given.get(column)
        if isinstance(value, list):
            value = ", ".join(map(str, value))
        if value is not None and (text := clean(str(value))[: 4_000 if column == "file_path" else 300].strip()):
            song[column] = text
    if "title" not in song or "artist" not in song:
        return None
    if "id" in given:
        song["id"] = str(given["id"]).rpartition(":")[2]
    if year := _year(given.get("year")):
        song["year"] = year
    duration = _seconds(given.get("duration_seconds"))
    if duration is None and (milliseconds := _seconds(given.get("duration_ms"))) is not None:
        duration = milliseconds / 1000
    for column, value in (("duration_seconds", duration), ("intro_seconds", _seconds(given.get("intro_seconds")))):
        if value is not None and 0 < value <= (3_600 if column == "intro_seconds" else 360_000):
            song[column] = round(value, 3)
    if themes := given.get("themes"):
        parts = themes if isinstance(themes, list) else re.split(r"[,;|]", str(themes))
        song["themes"] = [text for part in parts[:8] if (text := clean(str(part))[:80])]
    if isinstance(given.get("lyrics"), str):
        song["lyrics"] = given["lyrics"]
    return song


def _year(value: Any) -> int | None:
    match = re.search(r"(?<!\d)(1\d{3}|2[01]\d{2})(?!\d)", str(value)) if value is not None else None
    return int(match[1]) if match else None


def _seconds(value: Any) -> float | None:
    """Seconds of 225, "225.0", "3:45" or "1:02:03"."""
    text = str(value).strip() if value is not None and not isinstance(value, bool) else ""
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text):
        return float(text)
    if re.fullmatch(r"(\d{1,3}:)?\d{1,3}:[0-5]?\d(\.\d{1,6})?", text):
        total = 0.0
        for part in text.split(":"):
            total = total * 60 + float(part)
        return total
    return None
