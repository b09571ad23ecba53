"""A station folder from what people have: a folder of music, a table (CSV, JSONL, Parquet) or an earlier catalog.

Rows that name no title or artist are left out and listed; everything else is guessed kindly, since the result is a
folder to look through and edit. Titles are kept as they are in `catalog.json`; the loader decides what is spoken.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from engine.errors import UserError
from stages.files import clean, os_problem, read_text
from stages.ids import safe_id
from stages.lyrics import parse_lyrics
from stages.lyrics_join import Coverage
from stages.music import read_music
from stages.station import Station
from stages.tables import TABLES, read_table
from stages.titles import comparable


@dataclass(slots=True)
class ImportReport:
    """What an import made: where, how many songs, which rows it left out and why, and how lyrics were found."""

    path: Path
    songs: int
    skipped: list[str] = field(default_factory=list)
    coverage: Coverage = field(default_factory=Coverage)

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.songs:,} songs, {len(self.skipped):,} left out; {self.coverage}"]
        lines += [f"left out: {reason}" for reason in self.skipped[:20]]
        if len(self.skipped) > 20:
            lines.append(f"… and {len(self.skipped) - 20:,} more")
        return "\n".join(lines)


def import_station(
    source: str | Path, target: str | Path, template: str | Path, name: str | None = None
) -> ImportReport:
    """Make a station folder.

    Args:
        source: a folder of music, or a `.csv`, `.tsv`, `.jsonl`, `.json` or `.parquet` file.
        target: the folder to make; it must not exist, or be empty.
        template: a station whose DJs, kinds and settings are copied for a start.
        name: the station's name; by default the target folder's.

    Raises:
        UserError: if the source cannot be read or has no songs, or the target is in use or not writable.
    """
    source, target, template = Path(source), Path(target), Path(template)
    try:
        if os.path.lexists(target) and (not target.is_dir() or any(target.iterdir())):
            raise UserError("this is there already, and an import overwrites nothing", target, "name a new folder")
    except (OSError, ValueError) as error:
        raise UserError(os_problem(error), where=target) from None
    report = ImportReport(target, 0)
    songs = _unique(_songs(source, report.skipped))
    if not songs:
        seen = f": {report.skipped[0]}" if report.skipped else ""
        raise UserError(f"no song with a title and an artist was found{seen}", where=source)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name[:40]}-", dir=target.parent) as scratch:
            made = Path(scratch) / "station"
            _write(made, songs, template, name or target.name)
            report.coverage = Station.load(made).coverage
            made.replace(target)
    except UserError as error:
        raise UserError(f"what was imported makes no station: {error}", where=source) from None
    except (OSError, ValueError) as error:
        raise UserError(f"cannot be written: {os_problem(error)}", where=target) from None
    report.songs = len(songs)
    return report


def _songs(source: Path, skipped: list[str]) -> Iterator[dict[str, Any]]:
    if source.is_dir():
        yield from read_music(source, skipped)
        return
    if source.suffix.lower() not in TABLES:
        if not source.exists():
            raise UserError("no such file or folder", where=source)
        raise UserError(
            f"cannot import from '{source.suffix}'", source, f"a folder of music or one of {', '.join(TABLES)}"
        )
    yield from read_table(source, skipped)


def _unique(songs: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each song with an id of its own: the one given, else artist and title, numbered where they come again."""
    out, used = [], set()
    for song in songs:
        given = song.get("id") or comparable(f"{song['artist']} {song['title']}").replace(" ", "-")
        base = made = safe_id(given)
        number = 2
        while made in used:
            made = f"{base[:58]}-{number}"
            number += 1
        used.add(made)
        out.append({**song, "id": made})
    return out


def _write(folder: Path, songs: list[dict[str, Any]], template: Path, name: str) -> None:
    for part in ("kinds", "djs"):
        shutil.copytree(template / part, folder / part)
    if (template / "forecast.json").is_file():
        shutil.copy(template / "forecast.json", folder / "forecast.json")
    settings = read_text(template / "station.yaml")
    title = orjson.dumps(clean(name)[:200] or "My station").decode()
    settings = re.sub(r"^name:.*$", lambda _: f"name: {title}", settings, flags=re.MULTILINE)
    settings = re.sub(r"\A(#.*\n)+", "# Made by an import: edit name, place, DJs and forecast to suit.\n", settings)
    (folder / "station.yaml").write_text(settings, encoding="utf-8")
    (folder / "lyrics").mkdir()
    rows, used = [], set()
    for song in songs:
        text = song.pop("lyrics", None)
        if text and (parsed := parse_lyrics(text)) and (parsed.text or parsed.instrumental):
            head = f"Title: {song['title']}\nArtist: {song['artist']}\n"
            head += f"Instrumental: {str(parsed.instrumental).lower()}\n---\n"
            file = folder / "lyrics" / _lyrics_name(song, used)
            file.write_text(f"{head}{parsed.text or ''}\n", encoding="utf-8")
        rows.append({"id": song["id"], **{key: value for key, value in song.items() if key != "id"}})
    body = b",\n    ".join(orjson.dumps(row) for row in rows)
    (folder / "catalog.json").write_bytes(b'{\n  "songs": [\n    ' + body + b"\n  ]\n}\n")


def _lyrics_name(song: dict[str, Any], used: set[str]) -> str:
    """`<Title> by <Artist>.txt` where every file system can hold it, else `<id>.txt`: the headers say the rest."""
    name = re.sub(r'[\x00-\x1f/\\:*?"<>|]', "_", f"{song['title']} by {song['artist']}")
    if name.startswith(".") or len(name.encode()) > 180 or name.casefold() in used:
        name = song["id"]
    used.add(name.casefold())
    return f"{name}.txt"
