"""What keeping a record costs, and what opening a large checkpoint does.

    python tests/benchmarks/checkpoint.py [--quick] [--check] [--folder DIR]

Measures, on the disk DIR is on: records a second through group commit (written, fsynced, reported kept), the same
lines appended without any fsync and with one for each; then seconds and peak memory to open a checkpoint of a million
records in a fresh process. `--check` exits with 1 if a target is missed. The last line is the figures and the targets.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from engine.checkpoint import Checkpoint
from engine.commit import Committer
from engine.records import make_record
from engine.shard import seal

TARGET_KEPT, TARGET_OPEN_S, TARGET_OPEN_MIB = 20_000, 20.0, 1024
SCRIPT = "That was Slow Ferry Home by Odile Vasseur, and the lamps are lit along the quay. Stay with us, night owls."
INPUTS = {"prompt": "77ab12cd", "sampling": "0011aabb", "model": "ffee0011"}


def record(i: int) -> dict:
    """A record such as the generate stage keeps."""
    output = {"link": f"marlow/intro/s{i}", "script": SCRIPT, "finish_reason": "stop"}
    usage = {"input_tokens": 812, "output_tokens": 55, "cached_tokens": 640}
    return make_record("generate", f"marlow/intro/s{i}#1.1", INPUTS, output=output, usage=usage)


def kept_per_s(folder: Path, n: int) -> tuple[float, int]:
    """Records a second through the committer, and in how many groups they were synced."""
    checkpoint = Checkpoint(folder)
    checkpoint.lock()
    kept = 0

    def count() -> None:
        nonlocal kept
        kept += 1

    began = time.perf_counter()
    with Committer() as committer:
        for i in range(n):
            checkpoint.append(committer, "generate", record(i), count)
    seconds = time.perf_counter() - began
    checkpoint.close()
    assert kept == n
    return n / seconds, committer.groups


def plain_per_s(path: Path, n: int, fsync: bool) -> float:
    """The same lines by `write`, nothing checked, with or without an fsync for each."""
    began = time.perf_counter()
    with open(path, "ab", buffering=0) as file:
        for i in range(n):
            file.write(seal(record(i)))
            if fsync:
                os.fsync(file.fileno())
    return n / (time.perf_counter() - began)


OPEN = """
import sys, time
from engine.checkpoint import Checkpoint
from engine.memory import peak_mib
began = time.perf_counter()
checkpoint = Checkpoint(sys.argv[1])
repairs = checkpoint.lock()
found = len(checkpoint.stage("generate"))
seconds = time.perf_counter() - began
assert checkpoint.stage("generate").get(sys.argv[2])["output"]["script"]
print(found, len(repairs), seconds, peak_mib(), time.process_time())
"""


def open_cost(folder: Path, n: int) -> tuple[float, float, float]:
    """Seconds, processor seconds and peak resident MiB of a fresh process that opens a checkpoint of `n` records."""
    (folder / "generate").mkdir(parents=True)
    size, number, file = 0, -1, None
    for i in range(n):
        if file is None or size > 64 << 20:
            number, size = number + 1, 0
            file = open(folder / "generate" / f"{number:05d}.jsonl", "wb", buffering=1 << 20)
        size += file.write(seal(record(i)))
    file.close()
    done = subprocess.run(
        [sys.executable, "-c", OPEN, str(folder), f"marlow/intro/s{n // 2}#1.1"],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    found, repairs, seconds, peak, cpu = done.stdout.split()
    assert (int(found), int(repairs)) == (n, 0), done.stdout
    return float(seconds), float(cpu), float(peak)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="under a minute: fewer records to write")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is missed")
    parser.add_argument(
        "--folder", type=Path, default=None, help="on the disk to measure (default: the current folder)"
    )
    given = parser.parse_args()
    writes, opened = (60_000, 1_000_000) if given.quick else (400_000, 1_000_000)
    folder = Path(tempfile.mkdtemp(prefix=".checkpoint-benchmark-", dir=given.folder or Path.cwd()))
    try:
        rate, groups = max(kept_per_s(folder / f"groups{i}", writes) for i in range(2))
        plain = plain_per_s(folder / "plain.jsonl", writes, fsync=False)
        each = plain_per_s(folder / "each.jsonl", 300 if given.quick else 2_000, fsync=True)
        print(f"kept in groups      {rate:10,.0f} records/s ({groups} groups of {writes / groups:,.0f} on average)")
        print(f"plain appends       {plain:10,.0f} records/s, none of them safe: groups keep {rate / plain:.0%} of it")
        print(f"an fsync for each   {each:10,.0f} records/s")
        seconds, cpu, peak = open_cost(folder / "million", opened)
        print(f"opening {opened:,} records: {seconds:.1f} s ({cpu:.1f} s of the processor), {peak:,.0f} MiB at most")
    finally:
        shutil.rmtree(folder)
    good = rate >= TARGET_KEPT and seconds < TARGET_OPEN_S and peak < TARGET_OPEN_MIB
    print(
        f"{'ok' if good else 'MISSED'}: {rate:,.0f} kept records/s (target {TARGET_KEPT:,}), open {seconds:.1f} s "
        f"(target {TARGET_OPEN_S:g}), {peak:,.0f} MiB (target {TARGET_OPEN_MIB:,})"
    )
    sys.exit(1 if given.check and not good else 0)


if __name__ == "__main__":
    main()
