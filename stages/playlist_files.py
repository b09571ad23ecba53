"""A programme as files: M3U8 for Liquidsoap, CSV for AzuraCast, JSON for everything else.

Cue keys are Liquidsoap's: `liq_cue_in`, `liq_cue_out`, `liq_cross_start_next` (and `liq_cross_duration`, the same
moment counted from the end, which `cross` has always read), `liq_fade_in`, `liq_fade_out`, `liq_amplify`. AzuraCast's
bulk import matches files by `path` in its media storage and reads the columns of the same names without `liq_`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from stages.playlist import DAY_S, Item, Programme, Spot, Track
from stages.sound.disk import save
from stages.sound.naming import file_name
from stages.sound.tags import one_line

CSV_COLUMNS = (
    "path", "title", "artist", "album", "genre", "length",
    "amplify", "cross_start_next", "fade_in", "fade_out", "cue_in", "cue_out",
    "custom_field_voicetrack_key", "custom_field_voicetrack_kind", "custom_field_voicetrack_dj",
    "custom_field_voicetrack_song", "custom_field_voicetrack_clock",
)  # fmt: skip


def write_playlists(
    folder: Path,
    programmes: Iterable[Programme],
    *,
    name: str = "",
    root: Path | None = None,
    music: Path | None = None,
    target_lufs: float | None = None,
    ceiling_dbtp: float = -1.0,
) -> list[Path]:
    """Write `<dj>.m3u8`, `<dj>.csv` and `<dj>.json` for each programme.

    Args:
        name: of the station.
        root, music: folders that relative files of spots and of tracks are in; the M3U8 names files absolutely,
            because Liquidsoap takes a relative one from where it was started. CSV and JSON name them as they are.
        target_lufs, ceiling_dbtp: what `amplify` brings spots to, None for no change.

    Returns:
        the files, in order.

    Raises:
        OSError: one cannot be written.
    """
    written = []
    for programme in programmes:
        gain = lambda spot: amplify_db(spot, target_lufs, ceiling_dbtp)  # noqa: E731
        stem = file_name(programme.dj or "station", "wav").with_suffix("").as_posix()
        for suffix, text in (
            (".m3u8", m3u8(programme, name=name, root=root, music=music, gain_db=gain)),
            (".csv", azuracast_csv(programme, gain_db=gain)),
            (".json", as_json(programme, name=name, gain_db=gain)),
        ):
            written.append(folder / f"{stem}{suffix}")
            save(written[-1], text.encode())
    return written


def amplify_db(spot: Spot, target_lufs: float | None = None, ceiling_dbtp: float = -1.0) -> float:
    """Gain in dB that brings `spot` to `target_lufs`, as far as its true peak stays under the ceiling; 0 where target
    or loudness is unknown."""
    if target_lufs is None or spot.lufs is None:
        return 0.0
    gain = target_lufs - spot.lufs
    room = ceiling_dbtp - spot.true_peak_dbtp if spot.true_peak_dbtp is not None else gain
    return round(min(gain, max(room, 0.0)), 2) + 0.0


def m3u8(
    programme: Programme,
    *,
    name: str = "",
    root: Path | None = None,
    music: Path | None = None,
    gain_db: Callable[[Spot], float] = amplify_db,
) -> str:
    """Extended M3U in UTF-8, each entry an `annotate:` URI.

    A song without a file, or whose file is not there, is a comment: Liquidsoap would skip it, and the link before it
    does not start the next one early.
    """
    lines = ["#EXTM3U", "#EXTENC:UTF-8", f"#PLAYLIST:{one_line(f'{name} {programme.dj}')}"]
    paths = [_path(item, root, music) for item in programme.items]
    for at, (item, path) in enumerate(zip(programme.items, paths, strict=True)):
        if path is None:
            shown = item.track or item.spot
            lines.append(f"# no file: {one_line(shown.artist)} - {one_line(shown.title)}")
            continue
        plays_on = at + 1 < len(paths) and paths[at + 1] is not None
        if item.spot:
            values = _spot_values(item.spot, item.start_next if plays_on else None, gain_db(item.spot))
            title, artist, seconds = item.spot.title, item.spot.artist, item.spot.duration_s
        else:
            values = _track_values(item.track)
            title, artist, seconds = item.track.title, item.track.artist, item.track.duration_s
        lines.append(f"#EXTINF:{round(seconds) if seconds else -1},{_shown(artist)} - {_shown(title)}")
        lines.append(annotated(values, path))
    return "\n".join(lines) + "\n"


def annotated(values: dict[str, Any], path: str) -> str:
    """Liquidsoap's `annotate:key="value",…:path`, values on one line with quotes and backslashes escaped.

    `#{` becomes `# {`: Liquidsoap takes it for the start of an expression however it is escaped, and then drops the
    whole line.
    """
    pairs = []
    for key, value in values.items():
        if value is not None and value != "":
            text = _shown(str(value)).replace("\\", "\\\\").replace('"', '\\"')
            pairs.append(f'{key}="{text}"')
    return f"annotate:{','.join(pairs)}:{path}"


def _shown(text: str) -> str:
    return one_line(text).replace("#{", "# {")


def azuracast_csv(programme: Programme, *, gain_db: Callable[[Spot], float] = amplify_db) -> str:
    """A row for each spot, unplaced ones too, with AzuraCast's field names.

    The link's facts are in custom fields: AzuraCast takes those that are defined there (short names `voicetrack_key`
    and so on) and passes over the rest.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_COLUMNS)
    writer.writeheader()
    for spot, start_next in _spots(programme):
        values = _cues(spot, start_next)
        writer.writerow(
            {
                "path": one_line(spot.file),
                "title": one_line(spot.title),
                "artist": one_line(spot.artist),
                "album": one_line(spot.album),
                "genre": "Speech",
                "length": f"{spot.duration_s:.3f}",
                "amplify": f"{gain_db(spot):.2f}",
                **values,
                "custom_field_voicetrack_key": one_line(spot.key),
                "custom_field_voicetrack_kind": one_line(spot.kind),
                "custom_field_voicetrack_dj": one_line(spot.dj),
                "custom_field_voicetrack_song": one_line(spot.song),
                "custom_field_voicetrack_clock": one_line(spot.clock),
            }
        )
    return text.getvalue()


def as_json(programme: Programme, *, name: str = "", gain_db: Callable[[Spot], float] = amplify_db) -> str:
    """The programme as one JSON object: `station`, `dj`, `start`, `items` in order, `unplaced` spots."""
    items = []
    for item in programme.items:
        entry: dict[str, Any] = {"airs_at": _hms(item.airs_at) if programme.start else round(item.airs_at, 3)}
        if item.spot:
            entry |= _spot_json(item.spot, item.start_next, gain_db)
        else:
            track = item.track
            entry |= {"type": "song", "song": track.id, "title": track.title, "artist": track.artist}
            entry |= {"album": track.album, "duration": track.duration_s, "intro": track.intro_s, "file": track.file}
        items.append(entry)
    whole = {
        "station": name,
        "dj": programme.dj,
        "start": programme.start,
        "items": items,
        "unplaced": [_spot_json(spot, None, gain_db) for spot in programme.unplaced],
    }
    return json.dumps(whole, ensure_ascii=True, indent=1) + "\n"


def _spots(programme: Programme) -> Iterable[tuple[Spot, float | None]]:
    """Every spot once, with its `start_next`; the catalog played twice airs it twice."""
    seen = set()
    placed: Sequence[tuple[Spot, float | None]] = [(i.spot, i.start_next) for i in programme.items if i.spot]
    for spot, start_next in [*placed, *((s, None) for s in programme.unplaced)]:
        if spot.key not in seen:
            seen.add(spot.key)
            yield spot, start_next


def _cues(spot: Spot, start_next: float | None) -> dict[str, str]:
    """Cue points in seconds. A take is trimmed and faded when it is made: it plays from end to end, without fades."""
    end = spot.duration_s
    return {
        "cue_in": "0.000",
        "cue_out": f"{end:.3f}",
        "cross_start_next": f"{end if start_next is None else start_next:.3f}",
        "fade_in": "0.00",
        "fade_out": "0.00",
    }


def _spot_values(spot: Spot, start_next: float | None, gain: float) -> dict[str, Any]:
    overlap = 0.0 if start_next is None else spot.duration_s - start_next
    return {
        "title": spot.title,
        "artist": spot.artist,
        "album": spot.album,
        "duration": f"{spot.duration_s:.3f}",
        **{f"liq_{name}": value for name, value in _cues(spot, start_next).items()},
        "liq_cross_duration": f"{overlap:.3f}",
        "liq_amplify": f"{gain:.2f} dB",
        "voicetrack_key": spot.key,
        "voicetrack_kind": spot.kind,
        "voicetrack_dj": spot.dj,
        "voicetrack_song": spot.song,
        "voicetrack_clock": spot.clock,
    }


def _track_values(track: Track) -> dict[str, Any]:
    seconds = f"{track.duration_s:.3f}" if track.duration_s else None
    shown = {"title": track.title, "artist": track.artist, "album": track.album}
    # `cross` goes on with the last duration it was told: without this the song's end would be talked over as its
    # beginning was.
    return {**shown, "duration": seconds, "liq_cross_duration": "0.000", "voicetrack_song": track.id}


def _spot_json(spot: Spot, start_next: float | None, gain_db: Callable[[Spot], float]) -> dict[str, Any]:
    return {
        "type": "link",
        "key": spot.key,
        "kind": spot.kind,
        "dj": spot.dj,
        "song": spot.song,
        "clock": spot.clock,
        "title": spot.title,
        "artist": spot.artist,
        "album": spot.album,
        "file": spot.file,
        "duration": round(spot.duration_s, 3),
        "lufs": spot.lufs,
        "true_peak_dbtp": spot.true_peak_dbtp,
        "amplify_db": gain_db(spot),
        **{name: float(value) for name, value in _cues(spot, start_next).items()},
    }


def _path(item: Item, root: Path | None, music: Path | None) -> str | None:
    """The absolute path or the URL of an item's file, None when an M3U line cannot name it or a player open it."""
    name, folder = (item.spot.file, root) if item.spot else (item.track.file, music)
    if not name:
        return None
    if "://" in name:  # in an object store
        return name if name.isprintable() else None
    path = ((folder or Path()) / name).absolute()
    return str(path) if path.is_file() and str(path).isprintable() else None


def _hms(seconds: float) -> str:
    whole = round(seconds) % DAY_S
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"
