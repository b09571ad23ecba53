"""What the generate stage costs beside vLLM itself, and whether it grows with the work.

    python -m tests.benchmarks.overhead [--quick] [--check]

1. The generate stage (planning, prompts, streaming, shards with fsync) against the same prompts through a bare
   `LLM.chat`, in one process on one loaded engine, in turn; target: at most 1.05 times the time.
2. Time per link and peak memory at 20,000 links against 2,000, each in a process of its own; target: at most 1.15.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

OVERHEAD_TARGET, GROWTH_TARGET = 1.05, 1.15
WORDS = "Lamp River Coat Winter Copper Sugar Harbour Velvet Engine Letter Orchard Signal Thunder Paper Silver".split()


def write_station(folder: Path, links: int) -> Path:
    """A copy of the sample station with as many songs as `links` intros and outros of two DJs take."""
    from engine.config import packaged

    shutil.copytree(packaged("sample_station"), folder)
    shutil.rmtree(folder / "lyrics")
    (folder / "lyrics").mkdir()
    songs = []
    for i in range(links // 4):
        title = f"{WORDS[i % 15]} {WORDS[i // 15 % 15]} {i}"
        songs.append({"id": f"x{i}", "title": title, "artist": f"The {WORDS[(i * 7) % 15]}s {i % 97}", "year": 1970})
    (folder / "catalog.json").write_text(json.dumps({"songs": songs}))
    return folder


def make_job(folder: Path, links: int, max_tokens: int, stage: str = "generate"):
    """A job of the real config with the demo writer on a station of `links` links."""
    given = [
        f"+stage={stage}",
        f"station.path={write_station(folder / 'station', links)}",
        "select.kinds=[intro,outro]",
    ]
    given += [f"++writer.sampling.max_tokens={max_tokens}", "++writer.sampling.ignore_eos=true"]
    return job_of(given, folder / "checkpoint")


def job_of(overrides: list[str], checkpoint: Path):
    """A job of the real config with Hydra's `overrides`."""
    from hydra import compose, initialize_config_module

    import engine.config  # noqa: F401  registers the schema
    from engine.app import make_job

    with initialize_config_module("conf", version_base="1.3"):
        return make_job(compose("config", overrides), str(checkpoint))


def run(job, spec=None) -> float:
    """Seconds of a whole run of `job`, on the backend of `spec` where given."""
    from engine.progress import Display
    from engine.runner import run as run_jobs
    from engine.stop import StopFlag

    if spec is not None:
        for stage in job.stages:
            stage.backend = lambda: spec
    began = time.perf_counter()
    try:
        with Display(open(os.devnull, "w"), live=False, quiet=True) as display:
            run_jobs([job], display, StopFlag())
    finally:
        job.checkpoint.close()
    if job.error:
        raise job.error
    return time.perf_counter() - began


class Opened:
    """A spec whose backend is a session that is open already, so that loading is not part of what is timed."""

    def __init__(self, session):
        self.session, self.stats = session, session.stats

    def identity(self):
        return self.session.spec.identity()

    def group(self):
        return self.session.spec.group()

    def open(self):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass

    def steps(self, requests):
        return self.session.steps(requests)


def overhead(links: int, max_tokens: int, pairs: int) -> float:
    """Ratio of the stage's time to a bare `LLM.chat`'s, median of pairs."""
    from vllm import SamplingParams

    from engine.session import llm_session

    rows = []
    with tempfile.TemporaryDirectory() as tmp:
        job = make_job(Path(tmp) / "plan", links, max_tokens)
        requests = list(job.stages[0].requests())
        spec = job.stages[0].backend()
        with llm_session(spec) as session:
            opened = Opened(session)
            for i in range(-1, pairs):  # the first pair warms up
                session.llm.reset_prefix_cache()
                began = time.perf_counter()
                params = [SamplingParams(**r.payload["sampling"]) for r in requests]
                outputs = session.llm.chat([r.payload["prompt"] for r in requests], params, use_tqdm=False)
                bare = time.perf_counter() - began
                session.llm.reset_prefix_cache()
                ours = run(make_job(Path(tmp) / str(i), links, max_tokens), opened)
                tokens = sum(len(o.outputs[0].token_ids) for o in outputs)
                if i >= 0:
                    rows.append((bare, ours))
                    print(f"{links:>7} {tokens:>9} {bare:>11.2f} {ours:>11.2f} {ours / bare:>7.3f}", flush=True)
            del outputs
    return statistics.median(ours / bare for bare, ours in rows)


def growth_child(links: int, max_tokens: int) -> None:
    """In a process of its own: run the stage, print seconds of work per link and peak MiB."""
    from engine.memory import peak_mib
    from engine.runner import TIMINGS

    with tempfile.TemporaryDirectory() as tmp:
        job = make_job(Path(tmp), links, max_tokens)
        run(job)
        (timing,) = (r["output"] for r in job.checkpoint.stage(TIMINGS).records())
        assert timing["rows"] == links and not timing["errors"], timing
        print(json.dumps({"per_link_s": timing["work_s"] / links, "peak_mib": peak_mib()}))


def growth(counts: tuple[int, int], max_tokens: int) -> float:
    """The worse of the ratios of time per link and peak memory between two numbers of links."""
    found = []
    for links in counts:
        command = [sys.executable, "-m", "tests.benchmarks.overhead", "--child", str(links), str(max_tokens)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr)
        found.append(json.loads(done.stdout.strip().splitlines()[-1]))
        print(f"{links:>7} {1000 * found[-1]['per_link_s']:>12.2f} {found[-1]['peak_mib']:>10.0f}", flush=True)
    return max(found[1][name] / found[0][name] for name in ("per_link_s", "peak_mib"))


def main() -> None:
    """Print both tables and the figures; exit 1 with `--check` where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="under a minute, less certain")
    parser.add_argument("--check", action="store_true", help="exit 1 when a target is missed")
    parser.add_argument("--child", nargs=2, type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    if args.child:
        return growth_child(*args.child)
    print("  links    tokens  LLM.chat s  generate s   ratio")
    ratio = overhead(128, 32, 2) if args.quick else overhead(512, 48, 5)
    print("\n  links  ms per link   peak MiB")
    grown = growth((200, 1000), 4) if args.quick else growth((2000, 20000), 8)
    print(
        f"\noverhead {ratio:.3f} (target <= {OVERHEAD_TARGET}), growth {grown:.3f} (target <= {GROWTH_TARGET})",
        flush=True,
    )
    if args.check and (ratio > OVERHEAD_TARGET or grown > GROWTH_TARGET):
        sys.exit(1)


if __name__ == "__main__":
    main()
