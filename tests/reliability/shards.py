"""What a checkpoint holds, read by other means than the product's own: plain lines, plain JSON, plain CRC."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROWS = ("generate", "audit", "audio")  # stages whose records are a run's result


@dataclass
class Held:
    """Whole, undamaged lines of every shard, and the current record of every key by stage."""

    files: dict[str, bytes] = field(default_factory=dict)  # path in the checkpoint -> up to its last newline
    records: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)  # stage -> key -> newest record
    times: Counter[tuple[str, str]] = field(default_factory=Counter)  # (stage, key) -> how many records it has

    def keys(self) -> dict[str, set[str]]:
        """Keys by stage."""
        return {stage: set(self.records.get(stage, ())) for stage in ROWS}


def held(checkpoint: Path) -> Held:
    """What `checkpoint` holds now."""
    found = Held()
    for path in sorted(checkpoint.glob("*/[0-9]*.jsonl")):
        raw = path.read_bytes()
        whole = raw[: raw.rfind(b"\n") + 1]
        stage = path.parent.name
        found.files[str(path.relative_to(checkpoint))] = whole
        for line in whole.splitlines():
            body, _, crc = line.rpartition(b',"crc":"')
            assert int(crc[:8], 16) == zlib.crc32(body), f"{path}: damaged line"
            record = json.loads(line)
            found.records.setdefault(stage, {})[record["key"]] = record
            found.times[stage, record["key"]] += 1
    return found


def assert_grown(before: Held, after: Held) -> None:
    """Nothing that was there is gone or changed: every shard begins with what it was."""
    for name, content in before.files.items():
        assert after.files.get(name, b"").startswith(content), f"{name} was rewritten or cut"


def assert_whole(checkpoint: Path, reference: Held | None = None) -> Held:
    """A finished checkpoint: each key once, sound files for exactly the audio records, nothing left about.

    Args:
        reference: of an uninterrupted run; keys, scripts and verdicts must be the same.
    """
    import soundfile

    now = held(checkpoint)
    redone = {key: n for key, n in now.times.items() if n > 1}
    assert not redone, f"done more than once: {redone}"
    takes = {p.relative_to(checkpoint).as_posix() for p in (checkpoint / "takes").rglob("*") if p.is_file()}
    recorded = {r["output"]["file"] for r in now.records.get("audio", {}).values() if "output" in r}
    assert takes == recorded
    for record in now.records.get("audio", {}).values():
        if "output" in record:
            sound, rate = soundfile.read(checkpoint / record["output"]["file"])
            assert abs(len(sound) / rate - record["output"]["duration_s"]) < 0.05
    strays = [p for p in checkpoint.rglob("*") if p.name.endswith((".part", ".tmp")) or p.name.startswith(".run.json")]
    strays += [p for p in checkpoint.rglob(".*") if p.name != ".hydra" and ".hydra" not in p.parts]
    assert not strays
    assert not list(checkpoint.rglob("damaged.jsonl"))
    if reference is not None:
        assert now.keys() == reference.keys()
        for stage in ("generate", "audit"):
            for key, record in reference.records[stage].items():
                same = now.records[stage][key]
                assert same["fingerprint"] == record["fingerprint"]
                assert same.get("output") == record.get("output"), f"{stage} {key}"
    return now
