"""What the checkpoint knows of each link's takes: which are wanted, which one is aired, what went wrong.

The first take of a link has the link's key, the n-th `key@n`. A take counts only while it speaks the script that is
picked now. Another one is wanted as long as the last fell through its checks or has a blemish, up to `retakes` more;
of those that may be aired the best is kept by the rule of `stages.takes.best`. A take that was listened to
(`stages.asr`) and not understood has fallen through, too. A take that a reviewer turned down is not aired, and another
one is wanted in its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.checkpoint import Checkpoint
from engine.records import digest
from stages.decisions import Decisions
from stages.takes import Problem, TakeCheck, best

BAD_TAKE = "bad_take"
TOKENS = "tokens"  # the stage of a synthesizer in two halves that makes speech tokens
ASR = "asr"  # the stage that listens to takes


def take_key(link_key: str, take: int) -> str:
    """Key of a link's `take`-th take, from 1."""
    return link_key if take == 1 else f"{link_key}@{take}"


def take_identity(record: dict[str, Any]) -> list[Any]:
    """What tells a take from every other, made of its record: what it was made of, and when."""
    return [record["fingerprint"], record["time"]]


class Spoken:
    """A checkpoint's takes.

    Args:
        checkpoint: where they are.
        retakes: how many more takes may be wanted after a link's first.
    """

    def __init__(self, checkpoint: Checkpoint, retakes: int):
        self.checkpoint, self.retakes = checkpoint, retakes
        self.shards = checkpoint.stage("audio")
        self.hearings = checkpoint.stage(ASR)
        self.decisions = Decisions(checkpoint)

    def wanted(self, link_key: str, script: str) -> Iterator[int]:
        """Numbers of the takes wanted so far: those made, and one more while the last is not good enough."""
        standing = self.decisions.of(link_key)
        if standing.approved and self.aired(link_key, script):
            return  # not to be spoken again, whatever changes
        refused = standing.refused_takes(script)
        for take in self._numbers(refused):
            yield take
            record = self.record(link_key, script, take)
            misheard = self._misheard(link_key, take, record)
            if record is None or not (take in refused or _wants_another(misheard or record)):
                return

    def _numbers(self, refused: set[int]) -> range:
        """Numbers a link's takes may have: one more for each that a reviewer turned down."""
        return range(1, self.retakes + 2 + len(refused))

    def record(self, link_key: str, script: str, take: int) -> dict[str, Any] | None:
        """The record of a take of `script`, None where it is not made or speaks another script."""
        record = self.shards.get(take_key(link_key, take))
        return record if record and record["inputs"].get("script") == digest(script, 4) else None

    def aired(self, link_key: str, script: str) -> dict[str, Any] | None:
        """What is kept of the take to air; None where there is none (yet)."""
        made = {}
        refused = self.decisions.of(link_key).refused_takes(script)
        for take in self._numbers(refused):
            record = self.record(link_key, script, take)
            if record and "output" in record and take not in refused and not self._misheard(link_key, take, record):
                output = record["output"]
                problems = tuple(Problem(**p) for p in output["problems"])
                made[take] = TakeCheck(take, output["spoken_s"], output["expected_s"], problems), output
        chosen = best([check for check, _ in made.values()])
        return made[chosen.attempt][1] if chosen else None

    def failure(self, link_key: str, script: str) -> str | None:
        """Why a link that was spoken has no take, one line; None where it has one, or none was tried."""
        if self.aired(link_key, script) is not None:
            return None
        error = None
        refused = self.decisions.of(link_key).refused_takes(script)
        for take in self._numbers(refused):
            record = self.record(link_key, script, take)
            if take in refused:
                continue
            if record is not None:
                failed = self._misheard(link_key, take, record) or record
                error = f"{failed['stage']}: {failed['error']['message']}"
            elif take == 1 or error or take - 1 in refused:
                return self._token_failure(take_key(link_key, take)) or error
        return error

    def _misheard(self, link_key: str, take: int, record: dict[str, Any] | None) -> dict[str, Any] | None:
        """The error of listening to the very take that `record` is of, where there is one."""
        hearing = self.hearings.get(take_key(link_key, take)) if record and len(self.hearings) else None
        if hearing is None or "error" not in hearing:
            return None
        return hearing if hearing["inputs"]["take"] == digest(take_identity(record), 4) else None

    def _token_failure(self, key: str) -> str | None:
        """The first error among the token records of a take's chunks."""
        tokens = self.checkpoint.stage(TOKENS)
        chunk = 0
        while f"{key}/{chunk}" in tokens:
            if tokens.is_error(f"{key}/{chunk}"):
                return f"speech tokens: {tokens.get(f'{key}/{chunk}')['error']['message']}"
            chunk += 1
        return None


def _wants_another(record: dict[str, Any]) -> bool:
    if "error" in record:
        return record["error"]["kind"] == BAD_TAKE
    return bool(record["output"]["problems"])
