"""Two checkpoints side by side, blind: which of two takes of the same link is better.

Sides are shuffled anew for every pair and nothing that reaches the page says which checkpoint is which: takes are
served under names made for the occasion. A preference is a record in the `review` shards, `dj/kind/subject?<other>`,
whose output has `prefers`: `this`, `other` or `neither`.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.records import derive_seed, digest, make_record
from stages.decisions import SHARDS
from stages.page.data import spoken_of
from stages.summary import outcomes

if TYPE_CHECKING:
    from stages.review.book import Book

THIS, OTHER, NEITHER = "this", "other", "neither"
SIDES = ("left", "right")


class Comparison:
    """The pairs of a comparison and what was preferred so far.

    Args:
        book: of the checkpoint that is reviewed, with the other one in `against`.
    """

    def __init__(self, book: Book):
        self.book = book
        other = book.against.job.checkpoint
        self.name = digest(str(other.path), 4)
        theirs = {o.link.key: o for o in outcomes(book.against)}
        mine = ((o, theirs.get(key)) for key, o in book.found.items())
        self.pairs = {o.link.key: (o, t) for o, t in mine if t and o.pick and t.pick and _differ(o, t)}
        order = sorted(self.pairs, key=lambda key: derive_seed("compare", self.name, key))
        self.preferred: dict[str, str] = {}
        shards = book.desk.job.checkpoint.stage(SHARDS)
        for key in order:
            if record := shards.get(f"{key}?{self.name}"):
                self.preferred[key] = record["output"]["prefers"]
        self.left = [key for key in order if key not in self.preferred]
        self._shown: tuple[str, str, tuple[str, str]] | None = None
        self._files: dict[str, Path] = {}

    def next(self) -> dict[str, Any]:
        """The pair to judge: `{"pair", "title", "by", "kind", "dj", "left": {"script", "take"}, "right": {…}, "done",
        "of"}`, `pair` None when all are judged. Until it is judged it stays the same, sides included."""
        progress = {"done": len(self.preferred), "of": len(self.pairs)}
        if not self.left:
            return {"pair": None, **progress}
        key = self.left[0]
        if self._shown is None or self._shown[1] != key:
            sides = (THIS, OTHER) if secrets.randbelow(2) else (OTHER, THIS)
            self._shown = (secrets.token_urlsafe(12), key, sides)
            self._files = {secrets.token_urlsafe(12): path for side in sides if (path := self._path(key, side))}
        name, _, sides = self._shown
        link = self.pairs[key][0].link
        title, by = spoken_of(link)
        shown = {"pair": name, "title": title, "by": by, "kind": link.kind, "dj": link.dj.name, **progress}
        return shown | {place: self._side(key, side) for place, side in zip(SIDES, sides)}

    def _side(self, key: str, side: str) -> dict[str, Any]:
        path = self._path(key, side)
        take = next((name for name, file in self._files.items() if file == path), None)
        return {"script": self._outcome(key, side).pick.script, "take": take and f"sides/{take}"}

    def _outcome(self, key: str, side: str) -> Any:
        return self.pairs[key][side == OTHER]

    def _path(self, key: str, side: str) -> Path | None:
        take = self._outcome(key, side).take
        desk = self.book.desk if side == THIS else self.book.against
        return desk.job.checkpoint.path / take["file"] if take else None

    def file(self, name: str) -> Path | None:
        """The take served as `name` in the pair shown now."""
        return self._files.get(name)

    def prefer(self, asked: Mapping[str, Any]) -> None:
        """Keep a preference: `{"pair": …, "prefers": "left" | "right" | "neither"}`.

        Raises:
            Refused: it is not on the pair shown now.
        """
        from stages.review.book import Refused

        if self._shown is None or asked.get("pair") != self._shown[0]:
            raise Refused("that pair is not the one shown now")
        choice = asked.get("prefers")
        if choice not in (*SIDES, NEITHER):
            raise Refused("left, right or neither")
        _, key, sides = self._shown
        prefers = NEITHER if choice == NEITHER else sides[SIDES.index(choice)]
        mine, theirs = self.pairs[key]
        output = {
            "link": key,
            "against": str(self.book.against.job.checkpoint.path),
            "prefers": prefers,
            "scripts": {THIS: mine.pick.script, OTHER: theirs.pick.script},
            "takes": {THIS: mine.take and mine.take["file"], OTHER: theirs.take and theirs.take["file"]},
        }
        checkpoint = self.book.desk.job.checkpoint
        record = make_record(SHARDS, f"{key}?{self.name}", {"preference": digest(output, 4)}, output=output)
        checkpoint.append(self.book.committer, SHARDS, record, lambda: None)
        self.book.committer.flush()
        self.book.made += 1
        self.preferred[key] = prefers
        self.left.remove(key)
        self._shown, self._files = None, {}

    def score(self) -> dict[str, Any]:
        """`{"this", "other", "neither", "rate", "low", "high"}`: wins, and this checkpoint's share of the decided pairs
        with its 95 % interval; None where none is decided."""
        counts = {side: sum(p == side for p in self.preferred.values()) for side in (THIS, OTHER, NEITHER)}
        decided = counts[THIS] + counts[OTHER]
        rate, low, high = (
            (None, None, None) if not decided else (counts[THIS] / decided, *wilson(counts[THIS], decided))
        )
        names = {THIS: self.book.desk.job.checkpoint.path.name, OTHER: self.book.against.job.checkpoint.path.name}
        return {**counts, "rate": rate, "low": low, "high": high, "names": names, "of": len(self.pairs)}


def wilson(wins: int, of: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's score interval for a share (Wilson 1927): good for few trials and shares near 0 or 1.

    Args:
        z: normal quantile; the default is for 95 %.

    Raises:
        ValueError: unless 0 <= wins <= of and of > 0.
    """
    if not 0 <= wins <= of or of <= 0:
        raise ValueError(f"{wins} wins of {of}")
    share = wins / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def _differ(mine: Any, theirs: Any) -> bool:
    """Whether there is anything to prefer: another script, or takes of it that nobody would call the same."""
    if mine.pick.script != theirs.pick.script:
        return True
    if not (mine.take and theirs.take):
        return False
    least = {"duration_s": 0.01, "lufs": 0.1, "true_peak_dbtp": 0.5}  # what dither and encoding alone may change
    return any(abs(mine.take[name] - theirs.take[name]) > much for name, much in least.items())
