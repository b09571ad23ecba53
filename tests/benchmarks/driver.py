"""What a row costs the driver of a cluster: planned, sent to a Ray worker, answered, kept in a shard with fsync.

    python -m tests.benchmarks.driver [--rows 200000] [--check]

The run is the real one (runner, group, Ray Data, committer, shards) on a Ray of this machine, with rows the size of a
link's prompt and script. The worker's engine answers at once, so that the driver is what the run waits for. Rendering
the prompts, the stage's own work, is left out.

Target: 10,000 rows a second.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Self

from engine.backend import BackendStats
from engine.progress import Display
from engine.records import Output, Request
from engine.stage import Stage

TARGET = 10_000
SYSTEM = "You are a DJ who talks between songs. " * 20
EXAMPLES = [
    f"Here is one from long ago, number {i}, and it still sounds like rain on the harbour lamps." for i in range(6)
]
SCRIPT = (
    "That was a song about water, and the lamps along the quay. It is half past seven in Port Amity, and the kettle "
)
SCRIPT += "is on. Stay with us until the tide is out again: here comes something slower, for the ferry home."


@dataclass(frozen=True)
class Prompt:
    """An engine that has always thought of it already."""

    def identity(self) -> Mapping[str, Any]:
        return {"model": "prompt"}

    def group(self) -> str:
        return "prompt"

    def open(self) -> PromptBackend:
        return PromptBackend()


@dataclass
class PromptBackend:
    """Answers every row with a script at once, 256 in a step."""

    stats: BackendStats = field(default_factory=BackendStats)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def steps(self, requests: Iterable[Request]) -> Iterator[list[Output]]:
        source = iter(requests)
        while batch := list(islice(source, 256)):
            usage = {"input_tokens": 420, "output_tokens": 48, "cached_tokens": 300}
            yield [Output(r.key, {"text": SCRIPT, "finish_reason": "stop"}, dict(usage)) for r in batch]


class Links(Stage):
    """Asks for `cluster rows` links' worth of prompts."""

    name = "generate"
    rows = 0

    def backend(self) -> Prompt:
        return Prompt()

    def requests(self) -> Iterator[Request]:
        sampling = {"temperature": 0.8, "top_p": 0.95, "max_tokens": 160}
        for i in range(self.rows):
            messages = [
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": f"{EXAMPLES[i % 6]}\nIntroduce song {i} by The Number {i % 997}s."},
            ]
            payload = {"prompt": messages, "sampling": {**sampling, "seed": i}}
            yield Request(f"dot/intro/s{i:06d}#1.1", payload, {"rubric": "intro"})


def stages(job: Any) -> list[Stage]:
    """The stage, as `stages.*._target_` names it."""
    return [Links(job)]


class Clock(Display):
    """Notes when the backend was open and when all rows were kept, in seconds of wall and of processor time."""

    def running(self, name: str) -> None:
        super().running(name)
        self.open = time.perf_counter(), time.process_time()

    def closing(self, name: str) -> None:
        super().closing(name)
        self.over = time.perf_counter(), time.process_time()


def run(rows: int, folder: Path, *cluster: str) -> dict[str, float]:
    """Seconds of wall and of the driver's processor time from the open backend to the last row kept."""
    from omegaconf import OmegaConf

    from engine.config import Config
    from engine.job import Job
    from engine.runner import TIMINGS
    from engine.runner import run as run_jobs
    from engine.stop import StopFlag

    Links.rows = rows
    config = OmegaConf.merge(
        OmegaConf.structured(Config),
        {
            "stages": {
                "links": {"_target_": f"{__name__ if __name__ != '__main__' else 'tests.benchmarks.driver'}.stages"}
            }
        },
        OmegaConf.from_dotlist(list(cluster)),
    )
    job = Job(config, str(folder))
    type(job.stages[0]).rows = rows
    with Clock(open(os.devnull, "w"), live=False, quiet=True) as clock:
        run_jobs([job], clock, StopFlag())
    if job.error:
        raise job.error
    (timing,) = (r["output"] for r in job.checkpoint.stage(TIMINGS).records())
    assert timing["rows"] == rows and not timing["errors"], timing
    lines = sum(p.read_bytes().count(b"\n") for p in (folder / "generate").glob("*.jsonl"))
    assert lines == rows, lines
    job.checkpoint.close()
    return {"seconds": clock.over[0] - clock.open[0], "cpu_s": clock.over[1] - clock.open[1]}


def main() -> None:
    """Print a line for the run without Ray and one for each size of pack; exit 1 with `--check` on a miss."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--packs", type=int, nargs="+", default=[16, 64, 256, 1024])
    parser.add_argument("--check", action="store_true", help="exit 1 when the target is missed")
    args = parser.parse_args()
    os.environ["PYTHONPATH"] = str(Path(__file__).resolve().parents[2])
    print("               rows/s   driver's CPU, µs a row")
    best = 0.0
    for pack in [0, *args.packs]:
        cluster = [] if not pack else [
            "cluster._target_=engine.cluster.ray_cluster.RayCluster",
            f"cluster.rows_per_task={pack}",
            f"cluster.rows_per_worker={max(1024, 8 * pack)}",
        ]  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            found = run(args.rows, Path(folder), *cluster)
        rate = args.rows / found["seconds"]
        best = max(best, rate if pack else 0.0)
        name = f"packs of {pack}" if pack else "without Ray"
        print(f"{name:<13} {rate:>7,.0f} {1e6 * found['cpu_s'] / args.rows:>24.0f}", flush=True)
    print(f"\n{best:,.0f} rows/s (target >= {TARGET:,})")
    if args.check and best < TARGET:
        sys.exit(1)


if __name__ == "__main__":
    main()
