"""How many links of the sample station end with a passing script, with the embedded models.

    python tests/benchmarks/pass_rate.py [--check] [--seeds N] [OVERRIDE ...]

Runs `+stage=[generate,audit,report]` on every link with three candidates and three rounds, once for each seed, and
counts from the shards, without the code that made them: the share of links that passed in the end, and of candidates
that passed in the first round. `--check` exits 1 if a target is missed (95 % of links, over 80 % of first candidates).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINKS, FIRST = 0.95, 0.80


def verdicts(folder: Path) -> dict[str, bool | None]:
    """Whether each candidate passed, by key; None where its audit is an error."""
    out = {}
    for path in sorted((folder / "audit").glob("[0-9]*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            out[record["key"]] = record["output"]["verdict"]["passed"] if record["status"] == "ok" else None
    return out


def written(folder: Path) -> set[str]:
    """Keys of the links that were begun."""
    lines = [x for path in sorted((folder / "generate").glob("[0-9]*.jsonl")) for x in path.read_text().splitlines()]
    return {json.loads(line)["key"].partition("#")[0] for line in lines}


def run(folder: Path, seed: int, overrides: list[str]) -> tuple[float, float]:
    """Share of links passed and of first-round candidates passed, in one run."""
    command = [sys.executable, "-m", "engine", "+stage=[generate,audit,report]", "generation.candidates=3"]
    command += ["generation.rounds=3", f"seed={seed}", f"checkpoint.path={folder}", "quiet=true", *overrides]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if done.returncode not in (0, 1):  # 1: some rows ended as errors, which are counted here
        sys.exit(done.returncode)
    found, links = verdicts(folder), written(folder)
    passed = {key.partition("#")[0] for key, ok in found.items() if ok}
    first = [bool(ok) for key, ok in found.items() if "#1." in key]
    by_kind: dict[str, Counter[str]] = defaultdict(Counter)
    for key, ok in found.items():
        if "#1." in key:
            by_kind["/".join(key.split("/")[:2])]["passed" if ok else "not"] += 1
    print(f"seed {seed}: {len(passed)} of {len(links)} links passed, {sum(first)} of {len(first)} first candidates")
    for kind, counts in sorted(by_kind.items()):
        print(f"  {kind:16} {counts['passed']:4} of {counts.total():4} in the first round")
    for link in sorted(links - passed):
        print(f"  not passed: {link}")
    figures = json.loads((folder / "report/summary.json").read_text())
    if (figures["links"], figures["passed"]) != (len(links), len(passed)):
        print(f"  summary.json disagrees: {figures['passed']} of {figures['links']} passed")
    for issue in figures["common_issues"][:5]:
        print(f"  {issue['count']:4} × {issue['issue']}")
    return len(passed) / len(links), sum(first) / len(first)


def main() -> int:
    """Run, print, and say whether the targets are met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="exit 1 if a target is missed")
    parser.add_argument("--seeds", type=int, default=1, help="how many runs, each with another seed")
    parser.add_argument("overrides", nargs="*", help="further overrides, such as select.limit=20")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        shares = [run(Path(scratch) / str(seed), seed, args.overrides) for seed in range(args.seeds)]
    links, first = (sum(column) / len(shares) for column in zip(*shares, strict=True))
    print(f"pass rate: {links:.1%} of links after three rounds, {first:.1%} of candidates in the first")
    return int(args.check and (links < LINKS or first <= FIRST))


if __name__ == "__main__":
    sys.exit(main())
