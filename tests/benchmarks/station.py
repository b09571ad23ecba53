"""The whole main job at the size it is made for: a station of 630 links, 8B models, Chatterbox, fixed lengths.

    python -m tests.benchmarks.station [--songs 132] [--tts chatterbox_turbo] [--quick] [--check] [--keep DIR]
        [OVERRIDE ...]

Runs `python -m engine +stage=all profile=gpu` in a process of its own on random weights: two LLMs of Llama-3 8B's shape
(`load_format=dummy`), Chatterbox at full size. Every script is `WORDS` words long, every take `SPEECH` speech tokens
(12 s), every link passes. The figure is how many seconds of audio a second of the audio stages gives, and the wall time
of the whole run; chatterbox-vllm's published run, 39 min 54 s of audio in 87 s on an RTX 3090, gives 27.5.
`--quick` runs four links of tiny models, to show that it works.
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

from tests.benchmarks.full_size import write_chatterbox, write_llm, write_station

WORDS, SPEECH = 33, 300
TARGET = 27.5
AUDIO = ("tokens", "audio")


def overrides(station: Path, llm: Path, chatterbox: Path, tts: str, quick: bool) -> list[str]:
    """Of `python -m engine`: what keeps lengths fixed and weights random."""
    given = ["+stage=all", "profile=gpu", f"tts={tts}", f"station.path={station}", f"tts.checkpoint={chatterbox}"]
    given += [f"tts.cache={chatterbox / 'cache'}", "generation.candidates=1", "generation.rounds=1"]
    for side, length in (("writer", WORDS), ("auditor", 600)):
        given += [f"{side}.model={llm}", f"{side}.engine.load_format=dummy", f"{side}.sampling.max_tokens={length}"]
    # A greedy auditor of random weights would say one letter until it is cut off.
    given += ["writer.sampling.ignore_eos=true", "auditor.sampling.temperature=1.0", "audio.checks=false"]
    given += [f"tts.sampling.max_tokens={24 if quick else SPEECH}"]
    if quick:
        for side in ("writer", "auditor"):
            given += [f"{side}.engine.enforce_eager=true", f"{side}.engine.enable_chunked_prefill=false"]
            given += [f"{side}.engine.max_num_batched_tokens=16384", f"{side}.engine.gpu_memory_utilization=0.1"]
            given += [f"{side}.env.VLLM_ENABLE_V1_MULTIPROCESSING='0'", f"{side}.env.VLLM_CPU_KVCACHE_SPACE='1'"]
        given += ["select.limit=4", "tts.engine.gpu_memory_utilization=0.1"]
        given += ["tts.env.VLLM_ENABLE_V1_MULTIPROCESSING='0'", "tts.env.VLLM_CPU_KVCACHE_SPACE='1'"]
    return given


def main() -> int:
    """Run the station, print the table; the last line is the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--songs", type=int, default=132, help="132 songs make 630 links")
    parser.add_argument("--tts", default="chatterbox_turbo")
    parser.add_argument("--quick", action="store_true", help="four links of tiny models")
    parser.add_argument("--check", action="store_true", help="exit 1 when the target is missed")
    parser.add_argument("--keep", type=Path, help="folder for models, station and run; models already there are used")
    parser.add_argument("overrides", nargs="*", help="of python -m engine")
    args = parser.parse_args()
    variant = "turbo" if args.tts.endswith("turbo") else "original"
    with tempfile.TemporaryDirectory(prefix="voicetrack-bench-") as temporary:
        folder = args.keep or Path(temporary)
        run = Path(temporary) / "run"
        chatterbox = write_chatterbox(folder / variant, variant, 4 if args.quick else None)
        llm = write_llm(folder / "llm", "tiny" if args.quick else "8b")
        station = write_station(Path(temporary) / "station", 2 if args.quick else args.songs)
        command = [sys.executable, "-m", "engine", *overrides(station, llm, chatterbox, args.tts, args.quick)]
        began = time.perf_counter()
        done = subprocess.run([*command, f"checkpoint.path={run}", *args.overrides], stdout=subprocess.PIPE, text=True)
        wall = time.perf_counter() - began
        report, log = run / "report" / "summary.json", run / "engine.log"
        if not report.is_file():  # rows that ended as errors are exit code 1, too, but have a report
            raise SystemExit(done.stdout[-3000:] + (log.read_text()[-3000:] if log.exists() else ""))
        summary = json.loads(report.read_text()) | {"wall_s": wall}
        if args.keep:
            (args.keep / f"summary-{variant}-{summary['links']}.json").write_text(json.dumps(summary))
    stages = summary["stages"]
    print(f"{summary['links']} links, {summary['audio_seconds']:,.0f} s of audio, {args.tts}, {os.cpu_count()} cores")
    print("stage         rows  seconds     load    close  in tokens out tokens  tokens/s   MiB back")
    for name, stage in stages.items():
        print(
            f"{name:10} {stage['rows']:>7} {stage['seconds']:>8.1f} {stage['engine_load_s']:>8.1f} "
            f"{stage['engine_close_s']:>8.1f} {stage.get('input_tokens', 0):>10,.0f} "
            f"{stage.get('output_tokens', 0):>10,.0f} {stage.get('tokens_per_s') or 0:>9,.0f} "
            f"{stage['memory_returned_mib']:>10,.0f}"
        )
    spoken = sum(stages[name]["seconds"] for name in AUDIO)
    loading = sum(stages[name][part] for name in AUDIO for part in ("engine_load_s", "engine_close_s"))
    ratio, working = summary["audio_seconds"] / spoken, summary["audio_seconds"] / (spoken - loading)
    print(
        f"audio stages: {spoken:.1f} s, {loading:.1f} s of it loading and closing; {working:.0f} times real time beside"
    )
    print(f"whole run {wall:.1f} s; {ratio:.1f} s of audio a second of the audio stages (target {TARGET:g})")
    return int(args.check and ratio < TARGET)


if __name__ == "__main__":
    sys.exit(main())
