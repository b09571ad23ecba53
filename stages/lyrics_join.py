"""Lyrics files joined to songs by title *and* artist, with a stated confidence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from pathlib import Path

from engine.errors import UserError
from stages.files import TEXT_LIMIT, clean, list_folder, read_text
from stages.link import Song
from stages.lyrics import ParsedLyrics, parse_lyrics
from stages.titles import comparable, core, spoken_title

JOIN_AT = 0.8  # least confidence at which a file's text is taken for a song's lyrics
SURE_AT = 0.9  # below it a match is reported as doubtful
SUFFIXES = (".txt", ".lrc")


@dataclass(frozen=True, slots=True)
class Match:
    """A lyrics file taken, or nearly taken, for a song's.

    Attributes:
        confidence: 1 title and artist are the same; 0.95 the same but for brackets, guests and "The"; below, spelled
            alike. Less than `JOIN_AT` is not joined.
        how: what agreed and what did not, in words.
    """

    song_id: str
    file: str
    confidence: float
    how: str


@dataclass(slots=True)
class Coverage:
    """Which songs have lyrics.

    Attributes:
        found: joined, with confidence of at least `SURE_AT`; `instrumental`: found, and the file says there are none.
        doubtful: the best file there was, joined only from `JOIN_AT` up.
        missing: ids of the songs without any file, instrumental ones not counted.
        unused: names of the files that went to no song.
    """

    found: list[Match] = field(default_factory=list)
    doubtful: list[Match] = field(default_factory=list)
    instrumental: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        parts = [
            f"lyrics: {len(self.found)} found",
            f"{len(self.doubtful)} doubtful",
            f"{len(self.missing)} missing",
        ]
        if self.instrumental:
            parts.append(f"{len(self.instrumental)} instrumental")
        return ", ".join(parts) + (f"; {len(self.unused)} files unused" if self.unused else "")

    def to_dict(self) -> dict:
        """Counts and the rows to look at, JSON-able."""
        return {
            "found": len(self.found),
            "instrumental": len(self.instrumental),
            "doubtful": [
                {
                    "song": m.song_id,
                    "file": m.file,
                    "confidence": m.confidence,
                    "how": m.how,
                }
                for m in self.doubtful
            ],
            "missing": list(self.missing),
            "unused": list(self.unused),
        }


@dataclass(slots=True)
class _File:
    path: Path
    names: list[tuple[str, str]]  # (title, artist) the file may be of; artist "" where it names none
    parsed: ParsedLyrics | None = None


def join_lyrics(songs: Sequence[Song], folder: Path) -> tuple[list[Song], Coverage]:
    """Give each song the lyrics found for it in `folder` (songs that carry lyrics already keep theirs).

    A file is taken by its name, or by what its headers, tags or first line say; title and artist must both agree.
    Same artist alone is never enough, nor the same title by somebody else.

    Args:
        songs: the catalog.
        folder: the lyrics folder; one that does not exist is an empty one.

    Raises:
        UserError: if files cannot be read (all of them in one error).
    """
    coverage, errors = Coverage(), []
    files = _files(folder)
    chosen: dict[str, tuple[_File, Match]] = {}
    wanted = [song for song in songs if not song.lyrics]

    for by_content in (False, True):
        taken = {id(file) for file, match in chosen.values() if match.confidence >= SURE_AT}
        left = [file for file in files if id(file) not in taken]
        wanted = [song for song in wanted if song.id not in chosen]
        if not wanted or not left:
            break
        if by_content:
            for file in left:
                if _read(file, errors):
                    file.names = [*_content_names(file.parsed), *file.names]
        _choose(wanted, left, chosen, fuzzy=by_content)

    out: list[Song] = []
    for song in songs:
        if song.lyrics:
            coverage.found.append(Match(song.id, "", 1.0, "lyrics are in the catalog"))
        elif song.id not in chosen:
            coverage.missing.append(song.id)
        else:
            file, match = chosen[song.id]
            if not _read(file, errors):
                continue
            if match.confidence >= SURE_AT and _denies(file.parsed, song):
                match = replace(
                    match,
                    confidence=0.5,
                    how="the file's name agrees, its headers name another song",
                )
            if match.confidence < SURE_AT:
                coverage.doubtful.append(match)
            elif file.parsed.text is None:
                coverage.instrumental.append(song.id)
            else:
                coverage.found.append(match)
            if match.confidence >= JOIN_AT and file.parsed.text:
                song = replace(song, lyrics=_without_name(file.parsed.text, song))
        out.append(song)
    if errors:
        raise UserError.of_many(errors)
    used = {id(file) for file, _ in chosen.values()}
    coverage.unused = [file.path.name for file in files if id(file) not in used]
    return out, coverage


def _files(folder: Path) -> list[_File]:
    if not folder.is_symlink() and not folder.exists():
        return []
    paths = [path for path in list_folder(folder) if path.suffix.lower() in SUFFIXES]
    return [_File(path, list(_split_name(clean(path.stem)))) for path in paths]


def _split_name(name: str) -> Iterator[tuple[str, str]]:
    """Each (title, artist) that "<Title> by <Artist>" or "<Artist> - <Title>" may mean; either may hold the divider."""
    for match in re.finditer(r"\s+by\s+(?=\S)", name, re.IGNORECASE):
        if match.start():
            yield name[: match.start()], name[match.end() :]
    for match in re.finditer(r"\s+[-–—]\s+(?=\S)", name):
        if match.start():
            yield name[match.end() :], name[: match.start()]
    yield name, ""


def _content_names(parsed: ParsedLyrics) -> Iterator[tuple[str, str]]:
    if parsed.title:
        yield parsed.title, parsed.artist or ""
    elif parsed.text:
        first, _, rest = parsed.text.partition("\n")
        if rest.startswith("\n") and len(first) < 200:
            yield from (pair for pair in _split_name(first) if pair[1])


def _read(file: _File, errors: list[UserError]) -> bool:
    """Parse the file once; whether that worked."""
    if file.parsed is None:
        try:
            file.parsed = parse_lyrics(read_text(file.path, TEXT_LIMIT))
        except UserError as error:
            if all(str(error) != str(other) for other in errors):
                errors.append(error)
    return file.parsed is not None


def _choose(
    songs: Iterable[Song],
    files: list[_File],
    chosen: dict[str, tuple[_File, Match]],
    fuzzy: bool,
) -> None:
    """Add to `chosen` the best file for each song: equal names first, then (`fuzzy`) names alike."""
    exact: dict[tuple[str, str], _File] = {}
    loose: dict[tuple[str, str], _File] = {}
    by_artist: dict[str, list[tuple[str, str, _File]]] = {}
    by_title: dict[str, list[tuple[str, str, _File]]] = {}
    for file in files:
        for title, artist in file.names:
            title = spoken_title(title)
            exact.setdefault((comparable(title), comparable(artist)), file)
            loose.setdefault((core(title), core(artist)), file)
            if fuzzy:
                by_artist.setdefault(core(artist), []).append((core(title), core(artist), file))
                by_title.setdefault(core(title), []).append((core(title), core(artist), file))
    for song in songs:
        title, artist = core(song.title), core(song.artist)
        if file := exact.get((comparable(song.title), comparable(song.artist))):
            chosen[song.id] = (
                file,
                Match(song.id, file.path.name, 1.0, "same title and artist"),
            )
        elif file := loose.get((title, artist)):
            how = "same title and artist but for brackets, guests or 'The'"
            chosen[song.id] = file, Match(song.id, file.path.name, 0.95, how)
        elif fuzzy:
            best: tuple[float, _File, str] | None = None
            for file_title, _, file in by_artist.get(artist, [])[:500]:
                alike = SequenceMatcher(None, title, file_title, autojunk=False).ratio()
                if alike >= 0.75 and (best is None or 0.89 * alike > best[0]):
                    best = 0.89 * alike, file, f"same artist, title alike ({alike:.0%})"
            for _, file_artist, file in by_title.get(title, [])[:500]:
                if not file_artist:
                    score, how = 0.5, "same title, the file names no artist"
                else:
                    alike = SequenceMatcher(None, artist, file_artist, autojunk=False).ratio()
                    score, how = 0.89 * alike, f"same title, artist alike ({alike:.0%})"
                    if alike < 0.75:
                        continue
                if best is None or score > best[0]:
                    best = score, file, how
            if best:
                chosen[song.id] = (
                    best[1],
                    Match(song.id, best[1].path.name, round(best[0], 2), best[2]),
                )


def _denies(parsed: ParsedLyrics, song: Song) -> bool:
    """Whether the file itself says it is of another song."""
    return bool(
        parsed.title
        and parsed.artist
        and core(spoken_title(parsed.title)) != core(song.title)
        and core(parsed.artist) != core(song.artist)
    )


def _without_name(text: str, song: Song) -> str:
    """`text` without a first line that only names the song."""
    first, _, rest = text.partition("\n")
    line = comparable(first)
    title, artist = comparable(song.title), comparable(song.artist)
    named = line in (f"{title} by {artist}", f"{artist} {title}", f"{title} {artist}")
    if not named and (pairs := [p for p in _split_name(first) if p[1]]):
        named = any(core(spoken_title(t)) == core(song.title) and core(a) == core(song.artist) for t, a in pairs)
    if named or (line == title and rest.startswith("\n")):
        return rest.lstrip("\n") or text
    return text
