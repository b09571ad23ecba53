"""Rules on who and what a script names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from stages.link import Link
from stages.rules.names import Names
from stages.rules.registry import rule
from stages.rules.spelling import SMALL, name_of
from stages.rules.text import ARTIST, MARKS, NEXT_TITLE, TITLE, Script


def _by_other(title: str) -> re.Pattern:
    """A title, as it is masked, credited to a name that is none of the link's own."""
    name = r"[^\s.,;:!?—]*"
    return re.compile(
        rf"{title}[,.]?\s+by\s+(?![{MARKS}])((?:the\s+|The\s+)?[A-Z]{name}(?:\s+(?:&{name}|and|[A-Z]{name}))*)"
    )


_BY_OTHER, _NEXT_BY_OTHER = _by_other(TITLE), _by_other(NEXT_TITLE)
_OTHER_BY = re.compile(rf'"([^"{MARKS}]{{2,60}}?)[,.]?",?\s+by\s+{ARTIST}')
_POSSESSIVE = re.compile(rf"{ARTIST}'s?\s+\"([^\"{MARKS}]{{2,60}})\"")


@rule(
    "a script that does not name the song's title, or gives the artist another title",
    subjects=("song",),
    whole=False,
)
def names_title(script: Script, link: Link, options: Mapping[str, Any], names: Names) -> Iterator[str]:
    title = link.song.title
    if not script.count(TITLE) and not _same(script, link):
        yield f'does not name the title: say "{title}" exactly'
    elif options["whole"] and not script.find(name_of(title, whole=True)):
        yield f'names only part of the title: say "{title}" exactly'
    for pattern in (_OTHER_BY, _POSSESSIVE):
        if m := pattern.search(script.masked):
            yield f'gives {link.song.artist} another title, "{m[1].strip()}": the song is "{title}"'
            break


@rule(
    "a script that does not name the artist, or credits the song to somebody else",
    subjects=("song",),
    whole=False,
)
def names_artist(script: Script, link: Link, options: Mapping[str, Any], names: Names) -> Iterator[str]:
    artist = link.song.artist
    if not script.count(ARTIST) and not _same(script, link):
        yield f"does not name the artist: say {artist} exactly"
    elif options["whole"] and not script.find(name_of(artist, whole=True)):
        yield f"names only part of the artist: say {artist} exactly"
    if m := _BY_OTHER.search(script.masked):
        yield f"credits the song to {m[1]}: it is by {artist}"


@rule("the next song credited to somebody else", subjects=("song",))
def next_credit(script: Script, link: Link, options: Mapping[str, Any], names: Names) -> Iterator[str]:
    if m := _NEXT_BY_OTHER.search(script.masked):
        yield f"credits the next song to {m[1]}: it is by {link.next_song.artist}"


def _same(script: Script, link: Link) -> bool:
    """Whether title and artist are one name (a self-titled song), so that one mention does for both."""
    forms = set(name_of(link.song.title).forms) & set(name_of(link.song.artist).forms)
    return bool(forms) and bool(script.count(TITLE) or script.count(ARTIST))


@rule(
    "a song or artist of the catalog that is neither this one nor the next; with `same_artist` their other songs pass",
    subjects=("song",),
    same_artist=True,
)
def other_song(script: Script, link: Link, options: Mapping[str, Any], names: Names) -> Iterator[str]:
    taken = [m[:2] for m in script.masks]
    for what, raw, artist, first, last in names.mentions(script):
        if artist == link.song.artist and options["same_artist"]:
            continue
        start, end = script.spans[first][0], script.spans[last][1]
        if any(s < end and start < e for s, e in taken) or not _is_name(script, what, first, last):
            continue
        yield f"speaks of another {'song' if what == 'title' else what}: {raw}"


def _is_name(script: Script, what: str, first: int, last: int) -> bool:
    """Whether words that spell a catalog name are meant as one: capitalised
    like a name, and long or introduced enough."""
    start, end = script.spans[first][0], script.spans[last][1]
    before, after = script.text[:start].rstrip(), script.text[end:].lstrip(".,!?")
    if before[-1:] == '"' and after[:1] == '"':
        return True
    content = [i for i in range(first, last + 1) if script.tokens[i] not in SMALL]
    if not content or any(script.text[script.spans[i][0]].islower() for i in content):
        return False
    introduced = bool(re.search(r"\b(?:by|from|with)$", before))
    if what == "artist":
        return len(content) >= 2 or introduced
    return (
        len(content) >= 3 or (len(content) == 2 and (introduced or after.startswith("by "))) or after.startswith("by ")
    )


@rule("a DJ who gives the name of another DJ as their own", languages=("en",))
def wrong_dj(script: Script, link: Link, options: Mapping[str, Any], names: Names) -> Iterator[str]:
    if not names.djs:
        return
    for m in _I_AM.finditer(script.text):
        said = m[1].lower()
        for id_, name in names.djs.items():
            if id_ == link.dj.id or not name:
                continue
            own = link.dj.name.lower().split()
            if (said == name.lower() or said.split()[0] == name.lower().split()[0]) and said.split()[0] not in own:
                yield f"introduces itself as {name}: the DJ is {link.dj.name}"
                return


_I_AM = re.compile(
    r"\b(?:I'm|I am|[Mm]y name is|[Mm]y name's|[Ii]t's|[Tt]his is|[Yy]ou're (?:with|"
    r"listening to))\s+([A-Z]\w+(?:\s[A-Z]\w+)?)"
)
