"""The names a station knows besides the link's own: other songs, other artists, other DJs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from stages.link import DJ, Song
from stages.rules.spelling import name_of
from stages.rules.text import Script


@dataclass
class Names:
    """An index of names to be found in scripts in time that does not grow with the catalog.

    Attributes:
        protect: names that may be spoken anywhere and are masked before rules look: the station's, its place's.
    """

    protect: tuple[str, ...] = ()
    djs: dict[str, str] = field(default_factory=dict)
    _whole: dict[str, tuple[str, str, str]] = field(default_factory=dict)  # compact form -> what, raw name, artist
    _starts: set[str] = field(default_factory=set)  # compact forms of each name's first words

    @classmethod
    def of(cls, songs: Iterable[Song], djs: Iterable[DJ] = (), protect: Iterable[str] = ()) -> Names:
        """Index the titles and artists of `songs` and the names of `djs`."""
        names = cls(tuple(protect), {d.id: d.name for d in djs})
        for song in songs:
            names._enter("artist", song.artist, song.artist)
            names._enter("title", song.title, song.artist)
        return names

    def _enter(self, what: str, raw: str, artist: str) -> None:
        name = name_of(raw)
        words = Script.words_of(name.raw)
        whole = "".join(words)
        if not whole or whole in self._whole:
            return
        self._whole[whole] = (what, name.raw, artist)
        at = ""
        for word in words[:-1]:
            at += word
            self._starts.add(at)

    def mentions(self, script: Script) -> Iterator[tuple[str, str, str, int, int]]:
        """Names found in `script`, the longest from each word on: `title` or `artist`, the name, whose it is, index of
        its first and last token."""
        tokens, whole, starts = script.tokens, self._whole, self._starts
        for i, token in enumerate(tokens):
            found, at, j = None, token, i
            while True:
                if at in whole:
                    found = (*whole[at], i, j)
                j += 1
                if at not in starts or j >= len(tokens):
                    break
                at += tokens[j]
            if found:
                yield found
