"""Candidates picked by hand: `generation.picks=FILE.yaml`.

    marlow/intro/s01: marlow/intro/s01#1.2
    dot/time/07-30: {candidate: "1.3", why: "the kettle line"}     # attempt 1, third candidate

A pick stands whatever its verdict says, and its link is not written again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import UserError
from engine.job import Job
from stages.files import clean, read_yaml
from stages.ids import nearest
from stages.station import Station

_NUMBERS = re.compile(r"[1-9]\d*\.[1-9]\d*")


@dataclass(frozen=True, slots=True)
class Pick:
    """The key of the candidate to air, and why."""

    candidate: str
    why: str


def read_picks(job: Job, station: Station) -> dict[str, Pick]:
    """The picks by link; none where no file is named.

    Raises:
        UserError: with a line for each entry that makes no sense or names what the checkpoint does not have.
    """
    if not job.config.generation.picks:
        return {}
    path = Path(job.config.generation.picks).expanduser()
    entries = {str(key): value for key, value in read_yaml(path).items()}
    links = {link.key for link in station.links() if link.key in entries}
    generated = job.checkpoint.stage("generate")
    picks: dict[str, Pick] = {}
    errors: list[UserError] = []
    for key, entry in entries.items():
        where = f"{path}: {key}"
        if key not in links:
            hint = nearest(key, (link.key for link in station.links()))
            errors.append(UserError("the station has no such link", where, hint))
            continue
        try:
            pick = _pick(key, entry, where)
        except UserError as error:
            errors.append(error)
            continue
        if pick.candidate not in generated or generated.is_error(pick.candidate):
            has = [k.rpartition("#")[2] for k in generated.keys() if k.startswith(f"{key}#")]
            hint = f"it has {', '.join(has)}" if has else "pick from a checkpoint that has scripts"
            errors.append(UserError(f"the checkpoint has no script {pick.candidate}", where, hint))
            continue
        picks[key] = pick
    if errors:
        raise UserError.of_many(errors)
    return picks


def _pick(key: str, entry: Any, where: str) -> Pick:
    why = ""
    if isinstance(entry, Mapping):
        if set(entry) - {"candidate", "why"} or "candidate" not in entry:
            raise UserError("a pick has a candidate and perhaps a why", where, '{candidate: "1.2", why: "…"}')
        why = clean(str(entry.get("why") or ""))[:200]
        entry = entry["candidate"]
    if isinstance(entry, float):  # 1.10 and 1.1 are one number and two candidates
        raise UserError(f"write the candidate in quotes: {key}#{entry} or another?", where, f'"{entry}"')
    number = str(entry).removeprefix(f"{key}#")
    if not _NUMBERS.fullmatch(number):
        raise UserError(f"'{entry}' is no candidate of this link", where, f"e.g. {key}#1.2")
    return Pick(f"{key}#{number}", f"picked by hand{f' ({why})' if why else ''}")
