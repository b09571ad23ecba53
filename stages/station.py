"""A station: the user's folder, read whole and checked whole.

station.yaml  catalog.json  lyrics/  djs/<id>/  kinds/<kind>/  forecast.json
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.errors import UserError
from stages.catalog import load_catalog
from stages.djs import Example, load_dj
from stages.files import clean, list_folder, read_text, read_yaml
from stages.forecast import load_forecasts, parse_clock, spoken_clock
from stages.ids import nearest
from stages.kinds import TEMPLATE_LIMIT, Kind, load_kind
from stages.link import DJ, ClockTime, Forecast, Link, Song
from stages.lyrics_join import Coverage, join_lyrics
from stages.select import selected

_KEYS = ("name", "place", "language", "clock", "times", "temperature_unit")
_FOLDERS_MOST = 1_000


@dataclass(frozen=True)
class Station:
    """Everything a run needs to know of a station.

    Attributes:
        path: its folder.
        clock: how times are spoken, 12 or 24 hours.
        songs: the catalog, in its order, with lyrics where some were found.
        djs, kinds: by id, in alphabetical order.
        examples: by (DJ id, kind), the DJ's example lines with what they speak of.
        shared: sources of the templates all kinds may include, by file name.
        coverage: which songs have lyrics, and how sure that is.
    """

    path: Path
    name: str
    place: str
    language: str
    clock: int
    temperature_unit: str
    songs: tuple[Song, ...]
    djs: dict[str, DJ]
    kinds: dict[str, Kind]
    times: tuple[ClockTime, ...]
    forecasts: tuple[Forecast, ...]
    examples: dict[tuple[str, str], tuple[Example, ...]] = field(default_factory=dict)
    shared: dict[str, str] = field(default_factory=dict)
    coverage: Coverage = field(default_factory=Coverage)

    @classmethod
    def load(cls, path: str | Path) -> Station:
        """Read a station folder.

        Raises:
            UserError: with a line for each thing wrong in it, all at once.
        """
        path = Path(path)
        list_folder(path)
        check = _Check()
        settings = check(lambda: _settings(path / "station.yaml"), {})
        songs = check(lambda: load_catalog(path), None)
        coverage = Coverage()
        if songs is not None:
            songs, coverage = check(lambda: join_lyrics(songs, path / "lyrics"), (songs, coverage))
        kinds = {}
        kind_folders = check(lambda: _folders(path / "kinds", "kind"), [])
        for folder in kind_folders:
            if kind := check(lambda folder=folder: load_kind(folder), None):
                kinds[kind.name] = kind
                check(lambda kind=kind: kind.rubric, None)
        shared = check(lambda: _shared(path / "kinds"), {})
        djs, examples = {}, {}
        known = {folder.name for folder in kind_folders}
        for folder in check(lambda: _folders(path / "djs", "DJ"), []):
            loaded = check(
                lambda folder=folder: load_dj(folder, settings.get("language", "en")),
                None,
            )
            if loaded:
                dj, lines = loaded
                djs[dj.id] = dj
                for kind, entries in lines.items():
                    if kind not in known:
                        where, hint = folder / "examples.yaml", nearest(kind, known)
                        check.errors.append(UserError(f"examples for an unknown kind '{kind}'", where, hint))
                    examples[dj.id, kind] = entries
        forecasts = check(lambda: load_forecasts(path / "forecast.json"), ())
        check.done()
        return cls(path=path, songs=tuple(songs), djs=djs, kinds=kinds, forecasts=tuple(forecasts), examples=examples,
                   shared=shared, coverage=coverage, **settings)  # fmt: skip

    def subjects(self, kind: Kind) -> tuple[Any, ...]:
        """What links of `kind` speak of: songs, times, forecasts, or (None,) for the station itself."""
        return {
            "song": self.songs,
            "time": self.times,
            "weather": self.forecasts,
            "station": (None,),
        }[kind.subject]

    def links(self, select: Any = None) -> Iterator[Link]:
        """The links to make, ordered by DJ, kind and subject, one at a time.

        Args:
            select: an object or mapping with any of `djs`, `kinds`, `songs` (ids; songs also by title), `limit` and
                `seed`. With a limit the links are spread evenly over DJs and kinds; with a seed the subjects are
                drawn at random, always the same for the same seed, and a larger limit only adds to them.

        Raises:
            UserError: at once, for a name the station does not have or a limit that is no positive number.
        """
        return (self.link(dj, kind, i) for dj, kind, subjects in selected(self, select) for i in subjects)

    def link(self, dj: DJ, kind: Kind, index: int) -> Link:
        """The link of `dj` and `kind` about the subject at `index`."""
        subject = self.subjects(kind)[index]
        if kind.subject != "song":
            return Link(dj, kind.name, subject, kind.words)
        following = self.songs[index + 1] if kind.may_tease_next and index + 1 < len(self.songs) else None
        return Link(dj, kind.name, subject, kind.words_for(subject), following)


class _Check:
    """Collects what several readers find wrong."""

    def __init__(self) -> None:
        self.errors: list[UserError] = []

    def __call__(self, read: Callable[[], Any], default: Any) -> Any:
        try:
            return read()
        except UserError as error:
            self.errors.append(error)
            return default

    def done(self) -> None:
        if self.errors:
            raise UserError.of_many(self.errors)


def _settings(path: Path) -> dict[str, Any]:
    given = read_yaml(path)
    errors = [
        UserError(f"unknown key '{key}'", where=path, fix=nearest(str(key), _KEYS)) for key in given if key not in _KEYS
    ]
    values: dict[str, Any] = {}
    for key, default in (
        ("name", None),
        ("place", None),
        ("language", "en"),
        ("temperature_unit", "C"),
    ):
        value = given.get(key, default)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            value = str(value)  # a station may well be called 88.4
        if not isinstance(value, str) or not clean(value):
            errors.append(
                UserError(
                    f"'{key}' is missing" if value is None else f"'{key}' must be text",
                    where=path,
                )
            )
            continue
        if len(value) > 200:
            errors.append(UserError(f"'{key}' is longer than 200 characters", where=path))
        values[key] = clean(value)
    clock = given.get("clock", 12)
    if clock not in (12, 24) or isinstance(clock, bool):
        errors.append(UserError(f"'clock' must be 12 or 24, is {clock!r}", where=path))
    values["clock"] = clock
    try:
        values["times"] = _times(given.get("times", []), clock, path)
    except UserError as error:
        errors.append(error)
    if errors:
        raise UserError.of_many(errors)
    return values


def _times(given: Any, clock: int, path: Path) -> tuple[ClockTime, ...]:
    if isinstance(given, dict):
        step = given.get("every_minutes")
        if set(given) != {"every_minutes"} or type(step) is not int or not 1 <= step <= 1440:
            raise UserError("'times' must be a list of HH:MM or {every_minutes: 30}", where=path)
        minutes = range(0, 1440, step)
    elif isinstance(given, list):
        errors, minutes = [], []
        for number, entry in enumerate(given, 1):
            try:
                minutes.append(parse_clock(entry))
            except ValueError as error:
                errors.append(
                    UserError(
                        f"'times' entry {number} {error}",
                        where=path,
                        fix='e.g. "07:30"',
                    )
                )
        if len(set(minutes)) < len(minutes):
            errors.append(UserError("'times' names the same time twice", where=path))
        if errors:
            raise UserError.of_many(errors)
    else:
        raise UserError("'times' must be a list of HH:MM or {every_minutes: 30}", where=path)
    return tuple(
        ClockTime(
            f"{m // 60:02}-{m % 60:02}",
            m // 60,
            m % 60,
            spoken_clock(m // 60, m % 60, clock),
        )
        for m in sorted(minutes)
    )


def _folders(path: Path, what: str) -> list[Path]:
    folders = [entry for entry in list_folder(path) if entry.is_dir()]
    if not folders:
        raise UserError(
            f"the station has no {what}",
            where=path,
            fix=f"a folder for each {what} belongs there",
        )
    if len(folders) > _FOLDERS_MOST:
        raise UserError(f"{len(folders):,} folders, at most {_FOLDERS_MOST:,} are read", where=path)
    return folders


def _shared(path: Path) -> dict[str, str]:
    return {p.name: read_text(p, TEMPLATE_LIMIT) for p in list_folder(path) if p.suffix == ".j2" and not p.is_dir()}
