"""What a sweep costs with the shared engine, against Hydra's basic launcher and against one plain run.

    python -m tests.benchmarks.sweep [--in-process] [--quick] [--check]

16 points of temperature and top_p, 32 links each, written and audited by the demo models; whole processes, one after
the other on the same machine, a quarter of an hour in all. Engines run in processes of their own, vLLM's default and
the way of every GPU profile; with `--in-process` inside the run's, as the demo profile has it, where an engine opens in
a second and there is little for a sweep to save. Rows of both sweeps are compared one by one. Targets: at least 8 times
faster than the basic launcher, and at most 1.2 times the time of one plain run with as many requests (16 candidates of
each link).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FASTER_TARGET, PLAIN_TARGET = 8.0, 1.2


def engine(arguments: list[str], log: Path) -> float:
    """Seconds of a whole `python -m engine` process."""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "engine", *arguments], capture_output=True, text=True)
    seconds = time.perf_counter() - began
    log.write_text(done.stdout + done.stderr)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return seconds


def rows(folder: Path) -> dict[str, str]:
    """Every point's scripts and scores, by point, stage and key."""
    found = {}
    for path in folder.glob("*/*/[0-9]*.jsonl"):
        stage = path.parent.name
        for line in path.read_text().splitlines():
            record = json.loads(line)
            if stage == "generate":
                found[f"{path.parent.parent.name}/{stage}/{record['key']}"] = record["output"]["script"]
            elif stage == "audit":
                found[f"{path.parent.parent.name}/{stage}/{record['key']}"] = str(record["output"]["verdict"]["score"])
    return found


def main() -> None:
    """Print the table and the figures; exit 1 with `--check` where a target is missed or rows differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="2 points of 4 links, in-process, under a minute")
    parser.add_argument("--in-process", action="store_true", help="engines as in the demo profile")
    parser.add_argument("--check", action="store_true", help="exit 1 when a target is missed")
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    temperatures, top_ps = (
        (("0.7", "0.9"), ("0.95",)) if args.quick else (("0.5", "0.7", "0.9", "1.1"), ("0.8", "0.9", "0.95", "1.0"))
    )
    links, points = (4 if args.quick else 32), len(temperatures) * len(top_ps)
    common = ["+stage=[generate,audit]", f"select.limit={links}", "generation.rounds=1"]
    if not (args.in_process or args.quick):
        common += [f"{llm}.env.VLLM_ENABLE_V1_MULTIPROCESSING='1'" for llm in ("writer", "auditor")]
    swept = [f"writer.sampling.temperature={','.join(temperatures)}", f"writer.sampling.top_p={','.join(top_ps)}"]
    with tempfile.TemporaryDirectory() as tmp:
        folder = Path(tmp)
        shared = engine(["-m", *common, *swept, f"hydra.sweep.dir={folder / 'shared'}"], folder / "shared.log")
        print(f"shared engine    {points} points x {links} links {shared:>8.1f} s", flush=True)
        plain = engine(
            [*common, f"generation.candidates={points}", f"checkpoint.path={folder / 'plain'}"], folder / "plain.log"
        )
        print(f"one plain run    {points} candidates x {links}  {plain:>8.1f} s", flush=True)
        basic = engine(
            ["-m", *common, *swept, "hydra/launcher=basic", f"hydra.sweep.dir={folder / 'basic'}"], folder / "basic.log"
        )
        print(f"basic launcher   {points} points x {links} links {basic:>8.1f} s", flush=True)
        ours, theirs = rows(folder / "shared"), rows(folder / "basic")
    same = sum(ours[key] == theirs.get(key) for key in ours)
    print(f"rows equal       {same} of {len(theirs)}")
    equal = ours == theirs
    print(
        f"\n{basic / shared:.1f}x faster than the basic launcher (target >= {FASTER_TARGET:g}), "
        f"{shared / plain:.2f} of a plain run (target <= {PLAIN_TARGET:g}), rows {'equal' if equal else 'DIFFER'}"
    )
    if args.check and not (equal and basic / shared >= FASTER_TARGET and shared / plain <= PLAIN_TARGET):
        sys.exit(1)


if __name__ == "__main__":
    main()
