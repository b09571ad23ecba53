"""The order in which a station airs its links: intro → song → outro down the catalog, clock links at their time.

`plan` makes one programme, for one DJ; `playlist_files` writes it for Liquidsoap, AzuraCast and anything else.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle, zip_longest
from typing import Any

UNKNOWN_SONG_S = 210.0  # a song whose duration the catalog does not have, in the planned clock only
DAY_S = 86400
LEAST_ALONE_S = 0.5  # a voice is heard before the music under it comes up
TIME_CHECK_TOLERANCE_S = 180.0
PLACES = ("before", "after", "clock", "anywhere")


@dataclass(frozen=True, slots=True)
class Spot:
    """A link with its take.

    Attributes:
        key, kind, dj: of the link; `dj` is the id.
        file: of the take.
        duration_s, lufs, true_peak_dbtp: measured on it; the latter two None where unknown.
        title, artist, album: shown by players: what it is, who speaks, which station.
        place: `before` or `after` its `song` (an id), at its `clock` (`HH:MM`), or `anywhere` between songs.
        talks_over: whether it may run into the song's instrumental intro.
        tolerance_s: how far from its clock it may be aired.
    """

    key: str
    kind: str
    dj: str
    file: str
    duration_s: float
    lufs: float | None = None
    true_peak_dbtp: float | None = None
    title: str = ""
    artist: str = ""
    album: str = ""
    place: str = "anywhere"
    song: str | None = None
    clock: str | None = None
    talks_over: bool = False
    tolerance_s: float = TIME_CHECK_TOLERANCE_S

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Spot:
        """From a plain row: these names, others ignored; `place` follows from kind, song and clock if not given."""
        known = {name: row[name] for name in cls.__dataclass_fields__ if row.get(name) is not None}
        if "place" not in known:
            about_song = "after" if known["kind"] == "outro" else "before"
            known["place"] = "clock" if known.get("clock") else about_song if known.get("song") else "anywhere"
        if known["place"] not in PLACES:
            raise ValueError(f"{known['key']}: place is {known['place']!r}, not one of {', '.join(PLACES)}")
        return cls(**known)


@dataclass(frozen=True, slots=True)
class Track:
    """A song as playout needs it; `file` is None where the catalog has none (then only its links are listed)."""

    id: str
    title: str
    artist: str
    album: str | None = None
    duration_s: float | None = None
    intro_s: float | None = None
    file: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a programme: a `spot` or a `track`.

    Attributes:
        airs_at: planned seconds from the programme's first midnight; from its start where it has no clock.
        start_next: seconds into this item at which the next one starts.
    """

    airs_at: float
    start_next: float | None
    spot: Spot | None = None
    track: Track | None = None


@dataclass(frozen=True, slots=True)
class Programme:
    """What `plan` made.

    Attributes:
        start: `HH:MM` it is planned to start at, None where nothing in it has a clock.
        unplaced: spots whose song is not in the catalog or whose clock is not within the programme's hours.
    """

    dj: str
    start: str | None
    items: tuple[Item, ...]
    unplaced: tuple[Spot, ...] = field(default=())


def by_dj(spots: Iterable[Spot]) -> dict[str, list[Spot]]:
    """Spots by DJ, in the order met: each DJ has a programme."""
    found: dict[str, list[Spot]] = {}
    for spot in spots:
        found.setdefault(spot.dj, []).append(spot)
    return found


def plan(
    spots: Sequence[Spot], tracks: Sequence[Track], *, start: str | None = None, hours: float | None = None
) -> Programme:
    """Order one DJ's `spots` around `tracks`.

    Each clock spot airs between two songs, at the moment nearest its clock, if that is within its tolerance.

    Args:
        start: `HH:MM` the programme begins at; None for the clock of a spot, the one that lets most others be placed.
        hours: repeat the catalog until the programme is this long; None plays it once.

    Raises:
        ValueError: a clock that is no `HH:MM`.
    """
    blocks = _blocks(spots, tracks, hours)
    gaps = [0.0]  # when, from the start, something can be put between two songs
    for block in blocks:
        gaps.append(gaps[-1] + sum(_airtime(block)))
    timed = [s for s in spots if s.place == "clock"]
    start_s = _start(start, timed, gaps)
    unplaced = [s for s in spots if s.song and s.place in ("before", "after") and s.song not in {t.id for t in tracks}]
    at_gap: dict[int, list[Spot]] = {}
    for spot in sorted(timed, key=lambda s: (_after(s, start_s), s.key)):
        gap = _gap(spot, start_s, gaps)
        at_gap.setdefault(gap, []).append(spot) if gap is not None else unplaced.append(spot)
    for number, spot in enumerate(s for s in spots if s.place == "anywhere"):
        at_gap.setdefault(number % len(gaps), []).append(spot)
    return Programme(
        dj=spots[0].dj if spots else "",
        start=_clock(start_s) if timed or start else None,
        items=tuple(_timeline(blocks, at_gap, start_s)),
        unplaced=tuple(unplaced),
    )


def seconds_of(clock: str) -> int:
    """Seconds after midnight of `HH:MM`.

    Raises:
        ValueError: for anything else.
    """
    hour, _, minute = clock.replace("-", ":").partition(":")
    if not (hour.isdecimal() and minute.isdecimal() and int(hour) < 24 and int(minute) < 60):
        raise ValueError(f"{clock!r} is no clock time HH:MM")
    return int(hour) * 3600 + int(minute) * 60


def start_next(spot: Spot, then: Spot | Track | None) -> float:
    """Seconds into `spot` at which `then` starts: early enough to talk over its intro, so that the voice ends where
    the vocals begin at the latest."""
    if not (spot.talks_over and isinstance(then, Track) and then.intro_s):
        return spot.duration_s
    return spot.duration_s - max(0.0, min(then.intro_s, spot.duration_s - LEAST_ALONE_S))


Block = list[Spot | Track]


def _blocks(spots: Sequence[Spot], tracks: Sequence[Track], hours: float | None) -> list[Block]:
    """A song with its links, for each song; all over again until `hours` are full."""
    around: dict[tuple[str, str], list[Spot]] = {}
    for spot in spots:
        if spot.song and spot.place in ("before", "after"):
            around.setdefault((spot.place, spot.song), []).append(spot)
    once: list[Block] = [[*around.get(("before", t.id), []), t, *around.get(("after", t.id), [])] for t in tracks]
    if hours is None or not once:
        return once
    blocks, seconds = [], 0.0
    for block in cycle(once):
        if seconds >= hours * 3600:
            return blocks
        blocks.append(block)
        seconds += max(sum(_airtime(block)), 1.0)
    return blocks


def _airtime(block: Block) -> list[float]:
    """Seconds from each entry's start to that of the next."""
    return [_until_next(entry, then) for entry, then in _pairs(block)]


def _pairs(block: Block) -> Iterable[tuple[Spot | Track, Spot | Track | None]]:
    """Each entry with the one after it."""
    return zip_longest(block, block[1:])


def _until_next(entry: Spot | Track, then: Spot | Track | None) -> float:
    if isinstance(entry, Spot):
        return start_next(entry, then)
    return entry.duration_s or UNKNOWN_SONG_S


def _start(start: str | None, timed: Sequence[Spot], gaps: Sequence[float]) -> int:
    if start is not None:
        return seconds_of(start)
    clocks = sorted({seconds_of(s.clock) for s in timed})
    return max(clocks, key=lambda at: (sum(_gap(s, at, gaps) is not None for s in timed), -at), default=0)


def _after(spot: Spot, start_s: int) -> float:
    """Seconds from the programme's start to the spot's clock; a little before the start is a little negative."""
    after = (seconds_of(spot.clock) - start_s) % DAY_S
    return after - DAY_S if after > DAY_S - spot.tolerance_s else after


def _gap(spot: Spot, start_s: int, gaps: Sequence[float]) -> int | None:
    wanted = _after(spot, start_s)
    right = bisect_left(gaps, wanted)
    near = min((i for i in (right - 1, right) if 0 <= i < len(gaps)), key=lambda i: abs(gaps[i] - wanted))
    return near if abs(gaps[near] - wanted) <= spot.tolerance_s else None


def _timeline(blocks: Sequence[Block], at_gap: Mapping[int, list[Spot]], start_s: int) -> Iterable[Item]:
    order: Block = []
    for gap in range(len(blocks) + 1):
        order += at_gap.get(gap, [])
        order += blocks[gap] if gap < len(blocks) else []
    at = float(start_s)
    for entry, then in _pairs(order):
        if isinstance(entry, Spot):
            yield Item(at, start_next(entry, then), spot=entry)
        else:
            yield Item(at, entry.duration_s, track=entry)
        at += _until_next(entry, then)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 3600 % 24:02d}:{int(seconds) // 60 % 60:02d}"
