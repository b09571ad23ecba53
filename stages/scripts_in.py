"""Scripts written elsewhere, each with the link it is for: a folder of text files, JSON lines or CSV.

* A folder: `dj/kind/subject.txt`, or the same in one name with any punctuation between (`dj-kind-subject.txt`);
  further candidates of a link are numbered: `dj/kind/subject.2.txt`.
* JSON lines: `{"link": "dj/kind/subject", "script": "…"}`; the `generate` shards of another checkpoint will do.
* CSV with the columns `link` (or `dj`, `kind` and `subject`) and `script`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from engine.errors import UserError
from stages.catalog import CATALOG_LIMIT
from stages.files import decode, list_folder, read_bytes, read_text
from stages.ids import nearest
from stages.link import Link
from stages.station import Station

SHOWN = 20  # bad rows that are listed; more are counted
SCRIPT_LIMIT = 16 * 1024


@dataclass(frozen=True, slots=True)
class Given:
    """One script from a user's files: the link it is for, and the file (and line) where it stands."""

    link: Link
    script: str
    source: str


def read_scripts(path: Path, station: Station) -> list[Given]:
    """All scripts of a folder or file, in the order they come in.

    Args:
        path: the folder or file.
        station: whose links they are for.

    Raises:
        UserError: the source cannot be read or holds no scripts; or with a line for each row that makes no sense.
    """
    errors: list[UserError] = []
    rows = list(_rows(path, errors))
    links = _links(station, (name for row in rows for name in row.names))
    out = []
    for row in rows:
        try:
            out.append(Given(_link(row, links, station), _script(row), row.source))
        except UserError as error:
            errors.append(error)
    if errors:
        more = [UserError(f"… and {len(errors) - SHOWN:,} more", path)] if len(errors) > SHOWN else []
        raise UserError.of_many(errors[:SHOWN] + more)
    if not out:
        raise UserError("there are no scripts in it", path, "see docs/auditing.md for the forms that are read")
    return out


@dataclass(frozen=True, slots=True)
class _Row:
    """A script as it was read; `names` are the spellings of the link's key to try in turn."""

    source: str
    names: tuple[str, ...]
    script: Any


def _rows(path: Path, errors: list[UserError]) -> Iterator[_Row]:
    if path.is_dir():
        yield from _folder(path, path, errors)
        return
    readers = {".csv": _csv, ".tsv": _csv, ".jsonl": _jsonl, ".ndjson": _jsonl}
    if not path.exists():
        raise UserError("no such file or folder", path)
    if (reader := readers.get(path.suffix.lower())) is None:
        raise UserError(
            f"cannot read scripts from '{path.suffix}'", path, f"a folder of text files or one of {', '.join(readers)}"
        )
    for source, row in reader(path, errors):
        if not isinstance(row, Mapping):
            errors.append(UserError("is no row with link and script", source))
            continue
        if row.get("status") == "error" and "key" in row:  # a shard's record of a script that was never written
            continue
        kept = row.get("output")  # of a shard's record
        row = kept if isinstance(kept, Mapping) else row
        name = row.get("link")
        if not name and all(row.get(part) for part in ("dj", "kind", "subject")):
            name = "/".join(str(row[part]).strip() for part in ("dj", "kind", "subject"))
        if not isinstance(name, str) or not name.strip():
            errors.append(UserError("names no link", source, "give it as dj/kind/subject"))
            continue
        yield _Row(source, (name.strip().partition("#")[0],), row.get("script"))


_NUMBERED = re.compile(r"(.+?)(?:#\d{1,9})?\.(\d{1,9})")


def _folder(root: Path, folder: Path, errors: list[UserError]) -> Iterator[_Row]:
    for path in sorted(list_folder(folder), key=_order):
        if path.is_dir():
            if not path.is_symlink():  # so that it ends
                yield from _folder(root, path, errors)
        elif path.suffix.lower() == ".txt":
            name = path.relative_to(root).with_suffix("").as_posix()
            numbered = _NUMBERED.fullmatch(name)
            try:
                script = read_text(path, SCRIPT_LIMIT)
            except UserError as error:
                errors.append(error)
                continue
            yield _Row(str(path), (name, numbered[1]) if numbered else (name,), script)


def _order(path: Path) -> tuple[str, int]:
    """`s01.txt` before `s01.2.txt` before `s01.10.txt`."""
    numbered = _NUMBERED.fullmatch(path.stem)
    return (numbered[1], int(numbered[2])) if numbered else (path.stem, 0)


def _csv(path: Path, errors: list[UserError]) -> Iterator[tuple[str, Any]]:
    text = decode(read_bytes(path, CATALOG_LIMIT), path)
    head = text.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count))
    names = [str(name).strip().lower() for name in reader.fieldnames or ()]
    if "script" not in names or not ("link" in names or {"dj", "kind", "subject"} <= set(names)):
        raise UserError("has no columns 'link' and 'script'", f"{path}:1", f"its columns: {', '.join(names)[:150]}")
    reader.fieldnames = names
    try:
        for row in reader:
            yield f"{path}:{reader.line_num}", row
    except csv.Error as error:
        raise UserError(f"not valid CSV: {error}", f"{path}:{reader.line_num}") from None


def _jsonl(path: Path, errors: list[UserError]) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(read_bytes(path, CATALOG_LIMIT).removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if line.strip():
            try:
                yield f"{path}:{number}", orjson.loads(line)
            except orjson.JSONDecodeError as error:
                errors.append(UserError(f"not valid JSON: {error.msg}", f"{path}:{number}"))


def _spelling(name: str) -> str:
    """A key without what punctuation stands between its parts."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _links(station: Station, names: Iterable[str]) -> dict[str, list[Link]]:
    """The station's links that any of `names` may mean, by spelling."""
    wanted = {_spelling(name) for name in names}
    found: dict[str, list[Link]] = {}
    for link in station.links() if wanted else ():
        if (spelling := _spelling(link.key)) in wanted:
            found.setdefault(spelling, []).append(link)
    return found


def _link(row: _Row, links: Mapping[str, list[Link]], station: Station) -> Link:
    for name in row.names:
        meant = links.get(_spelling(name), [])
        exact = [link for link in meant if link.key == name] or meant
        if len(exact) > 1:
            meanings = f"{exact[0].key} or {exact[1].key}"
            raise UserError(f"'{name}' may be {meanings}", row.source, "write it as dj/kind/subject")
        if exact:
            return exact[0]
    near = nearest(row.names[-1], [link.key for link in station.links()])
    raise UserError(f"the station has no link '{row.names[-1]}'", row.source, near)


def _script(row: _Row) -> str:
    if not isinstance(row.script, str) or not (script := row.script.strip()):
        raise UserError("has no script", row.source)
    if len(script) > SCRIPT_LIMIT:
        raise UserError(f"the script has {len(script):,} characters, at most {SCRIPT_LIMIT:,} are read", row.source)
    return script
