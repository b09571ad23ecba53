"""Writer and auditor at full size against a bare `LLM.generate` of the same prompts, on the same loaded engine.

    python -m tests.benchmarks.llm [--songs 132] [--pairs 3] [--quick] [--check] [--keep DIR]

A station of 630 links, both LLMs of Llama-3 8B's shape with random weights, lengths fixed as in `station`. Each stage
opens its engine once; then the bare call and the whole stage (prompts, streaming, verdicts, shards with fsync) take
turns. Told beside the ratios: tokens a second, seconds and MiB of opening and closing, in one process. The last line is
the worse stage's median ratio; target: at most 1.05. `--quick` asks tiny models about eight links.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.full_size import write_llm, write_station
from tests.benchmarks.overhead import Opened, job_of, run
from tests.benchmarks.station import overrides

TARGET = 1.05


def measure(stage: str, given: list[str], before: Path | None, folder: Path, pairs: int) -> dict:
    """Medians of one stage, and the folder of its last checkpoint; `before` is the checkpoint it starts from."""
    from engine.session import llm_session

    given = [f"+stage={stage}", "tts=espeak", *given]

    def fresh(name: str) -> Path:
        path = folder / stage / name
        if before is not None:
            shutil.copytree(before, path)
        return path

    planned = job_of(given, fresh("planned"))
    requests = list(planned.stages[0].requests())
    spec = planned.stages[0].backend()
    planned.checkpoint.close()
    rows = []
    with llm_session(spec) as session:
        opened = Opened(session)
        for i in range(-1, pairs):  # the first pair warms up
            session.llm.reset_prefix_cache()
            began = time.perf_counter()
            prompts, params = zip(*map(session.prepare, requests), strict=True)
            outputs = session.llm.generate(list(prompts), list(params), use_tqdm=False)
            bare = time.perf_counter() - began
            session.llm.reset_prefix_cache()
            ours = run(job_of(given, fresh(str(i))), opened)
            read = sum(len(o.prompt_token_ids) for o in outputs)
            written = sum(len(o.outputs[0].token_ids) for o in outputs)
            if i >= 0:
                rows.append((bare, ours))
                print(f"{stage:10} {len(requests):>6} {read:>9,} {written:>9,} {bare:>8.2f} {ours:>8.2f} "
                      f"{ours / bare:>6.3f} {written / ours:>9,.0f}", flush=True)  # fmt: skip
        del outputs
    stats = session.stats
    print(f"{stage:10} opened in {stats.load_s:.1f} s, closed in {stats.close_s:.1f} s, "
          f"{stats.returned_mib:,.0f} of {stats.footprint_mib:,.0f} MiB back", flush=True)  # fmt: skip
    return {
        "ratio": statistics.median(ours / bare for bare, ours in rows),
        "tokens_per_s": written / statistics.median(ours for _, ours in rows),
        "input_tokens": read, "output_tokens": written, "rows": len(requests), "pairs": rows,
        "load_s": stats.load_s, "close_s": stats.close_s,
        "footprint_mib": stats.footprint_mib, "returned_mib": stats.returned_mib,
        "checkpoint": str(folder / stage / str(pairs - 1)),
    }  # fmt: skip


def main() -> int:
    """Measure both stages; the last line is the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--songs", type=int, default=132, help="132 songs make 630 links")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="tiny models, eight links")
    parser.add_argument("--check", action="store_true", help="exit 1 when the target is missed")
    parser.add_argument("--keep", type=Path, help="where models are kept and figures go as JSON")
    args = parser.parse_args()
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    with tempfile.TemporaryDirectory(prefix="voicetrack-bench-") as temporary:
        folder = Path(temporary)
        llm = write_llm((args.keep or folder) / "llm", "tiny" if args.quick else "8b")
        station = write_station(folder / "station", 2 if args.quick else args.songs)
        every = overrides(station, llm, folder, "espeak", args.quick)[3:]
        kept = [o for o in every if not o.startswith(("tts.", "select."))]
        given = ["profile=gpu", *(f"++{o}" if o.startswith(("writer.", "auditor.")) else o for o in kept)]
        given += ["select.limit=8"] if args.quick else []
        print("stage        rows input tok output tok  bare s   ours s  ratio  tokens/s")
        found = {"generate": measure("generate", given, None, folder, args.pairs)}
        found["audit"] = measure("audit", given, Path(found["generate"]["checkpoint"]), folder, args.pairs)
        if args.keep:
            (args.keep / "llm.json").write_text(json.dumps(found))
    worse = max(figures["ratio"] for figures in found.values())
    print(f"stages against a bare LLM.generate: {worse:.3f} (target <= {TARGET})")
    return int(args.check and worse > TARGET)


if __name__ == "__main__":
    sys.exit(main())
