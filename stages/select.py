"""Which links to make: by DJ, kind and song, and a sample of them that is the same every time."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from engine.errors import UserError
from engine.records import derive_seed
from stages.ids import nearest
from stages.kinds import Kind
from stages.link import DJ, Song

if TYPE_CHECKING:
    from stages.station import Station

Group = tuple[DJ, Kind, Sequence[int]]  # the subjects, by index, that a DJ speaks of in links of a kind


def selected(station: Station, select: Any) -> list[Group]:
    """The subjects to make links about, by DJ and kind in the station's order; see `Station.links`.

    Raises:
        UserError: for a name the station does not have, or a limit or seed that is none.
    """
    djs = [station.djs[i] for i in _picked(_get(select, "djs"), station.djs, "select.djs", "DJ")]
    kinds = [station.kinds[i] for i in _picked(_get(select, "kinds"), station.kinds, "select.kinds", "kind")]
    songs = _picked_songs(_get(select, "songs"), station.songs)
    groups: list[Group] = []
    for dj in djs:
        for kind in kinds:
            subjects: Sequence[int] = range(len(station.subjects(kind)))
            if songs is not None:
                subjects = songs if kind.subject == "song" else ()
            groups.append((dj, kind, subjects))
    limit, seed = _get(select, "limit"), _get(select, "seed")
    for name, value, least in (("limit", limit, 1), ("seed", seed, 0)):
        if value is not None and (type(value) is not int or value < least):
            raise UserError(f"must be a whole number from {least} up, is {value!r}", where=f"select.{name}")
    return groups if limit is None else _spread(groups, limit, seed)


def _picked_songs(names: Any, songs: Sequence[Song]) -> list[int] | None:
    if names is None:
        return None
    by_id = {song.id: i for i, song in enumerate(songs)}
    by_title: dict[str, list[int]] = {}
    for i, song in enumerate(songs):
        by_title.setdefault(song.title.casefold(), []).append(i)
    picked: set[int] = set()
    errors = []
    for name in _list(names, "select.songs"):
        if name in by_id:
            picked.add(by_id[name])
        elif found := by_title.get(name.casefold()):
            picked.update(found)
        else:
            near = nearest(name, [*by_id, *(song.title for song in songs)])
            errors.append(UserError(f"no song '{name}'", where="select.songs", fix=near))
    if errors:
        raise UserError.of_many(errors)
    return sorted(picked)


def _get(select: Any, name: str) -> Any:
    return select.get(name) if isinstance(select, Mapping) else getattr(select, name, None)


def _list(names: Any, where: str) -> list[str]:
    if isinstance(names, (str, int)):
        names = [names]
    if not isinstance(names, Iterable) or isinstance(names, Mapping):
        raise UserError(f"must be a list of names, is {names!r}", where=where)
    out = [str(name) for name in names]
    if not out:
        raise UserError("names nothing", where=where, fix="leave it out to take everything")
    return out


def _picked(names: Any, known: Mapping[str, Any], where: str, what: str) -> list[str]:
    if names is None:
        return list(known)
    names = _list(names, where)
    if wrong := [name for name in names if name not in known]:
        raise UserError.of_many(UserError(f"no {what} '{n}'", where=where, fix=nearest(n, known)) for n in wrong)
    return [name for name in known if name in set(names)]


def _spread(groups: list[tuple[DJ, Kind, Any]], limit: int, seed: int | None) -> list[tuple[DJ, Kind, list[int]]]:
    """At most `limit` of the groups' subjects: the next one always from the group, kind and DJ used least so far."""
    taken = [0] * len(groups)
    by_kind: dict[str, int] = {}
    by_dj: dict[str, int] = {}
    open_ = {i for i, (_, _, subjects) in enumerate(groups) if len(subjects)}
    for _ in range(min(limit, sum(len(subjects) for _, _, subjects in groups))):
        i = min(
            open_,
            key=lambda i: (
                taken[i],
                by_kind.get(groups[i][1].name, 0),
                by_dj.get(groups[i][0].id, 0),
                i,
            ),
        )
        dj, kind, subjects = groups[i]
        taken[i] += 1
        by_kind[kind.name] = by_kind.get(kind.name, 0) + 1
        by_dj[dj.id] = by_dj.get(dj.id, 0) + 1
        if taken[i] == len(subjects):
            open_.discard(i)
    out = []
    for (dj, kind, subjects), count in zip(groups, taken, strict=True):
        chosen = list(subjects[:count])
        if seed is not None:
            chosen = heapq.nsmallest(
                count,
                subjects,
                key=lambda s: (derive_seed(seed, dj.id, kind.name, s), s),
            )
        out.append((dj, kind, sorted(chosen)))
    return out
