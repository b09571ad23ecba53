"""A station's takes as programmes to air: what `playlist` and `playlist_files` are to the station's own links."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from stages.kinds import Kind
from stages.link import Link
from stages.playlist import Programme, Spot, Track, by_dj, plan
from stages.playlist_files import write_playlists
from stages.station import Station

FORECAST_TOLERANCE_S = 1800.0  # the weather is as true half an hour later


def write_programmes(
    station: Station,
    takes: Iterable[tuple[Link, Mapping[str, Any]]],
    folder: Path,
    *,
    root: Path,
    start: str | None = None,
    hours: float | None = None,
    target_lufs: float | None = None,
    ceiling_dbtp: float = -1.0,
) -> list[Path]:
    """Write a programme for each DJ that has takes (see `playlist_files.write_playlists`).

    Args:
        takes: links with what the audio stage keeps of the take to air: `file` (relative to `root`), `duration_s`,
            `lufs`, `true_peak_dbtp`.
        start, hours: see `playlist.plan`.
        target_lufs, ceiling_dbtp: what the station plays at, None for the level of the files.

    Returns:
        the files written.

    Raises:
        OSError: one cannot be written.
    """
    made = programmes(station, takes, start, hours)
    levels = {"target_lufs": target_lufs, "ceiling_dbtp": ceiling_dbtp}
    return write_playlists(folder, made, name=station.name, root=root, music=station.path, **levels)


def programmes(
    station: Station,
    takes: Iterable[tuple[Link, Mapping[str, Any]]],
    start: str | None = None,
    hours: float | None = None,
) -> list[Programme]:
    """The programme of each DJ that has takes, in the order met; `start` and `hours` as `playlist.plan` takes them."""
    spots = by_dj(spot_of(station, link, take) for link, take in takes)
    tracks = [
        Track(s.id, s.title, s.artist, s.album, s.duration_seconds, s.intro_seconds, s.file_path) for s in station.songs
    ]
    return [plan(of_dj, tracks, start=start, hours=hours) for of_dj in spots.values()]


def spot_of(station: Station, link: Link, take: Mapping[str, Any]) -> Spot:
    """`link` as the playlist sees it."""
    kind = station.kinds[link.kind]
    about, clock = "", None
    if link.song:
        about = link.song.title
    elif link.time:
        about, clock = link.time.spoken, f"{link.time.hour:02d}:{link.time.minute:02d}"
    elif link.forecast:
        about = link.forecast.period
        if link.forecast.hour is not None:
            clock = f"{link.forecast.hour:02d}:{link.forecast.minute or 0:02d}"
    return Spot(
        key=link.key,
        kind=link.kind,
        dj=link.dj.id,
        file=take["file"],
        duration_s=take["duration_s"],
        lufs=take.get("lufs"),
        true_peak_dbtp=take.get("true_peak_dbtp"),
        title=f"{link.kind}: {about}" if about else link.kind,
        artist=link.dj.name,
        album=station.name,
        place=_place(kind, clock),
        song=link.song.id if link.song else None,
        clock=clock,
        talks_over=kind.talks_over_intro,
        **({"tolerance_s": FORECAST_TOLERANCE_S} if link.forecast else {}),
    )


def _place(kind: Kind, clock: str | None) -> str:
    """A link about a song comes before it, unless it is an outro or may tease the next one."""
    if kind.subject == "song":
        after = not kind.talks_over_intro and (kind.may_tease_next or kind.name == "outro")
        return "after" if after else "before"
    return "clock" if clock else "anywhere"
