"""How much faster T3 decodes in one vLLM batch than upstream one utterance at a time.

    python -m tests.benchmarks.chatterbox                 full size, some five minutes on two cores
    python -m tests.benchmarks.chatterbox --turbo         Turbo's T3 instead of the Original's
    python -m tests.benchmarks.chatterbox --quick         4 layers, under a minute
    python -m tests.benchmarks.chatterbox --check         exit code 1 if the target is missed
    python -m tests.benchmarks.chatterbox --cpu-time      CPU seconds of one thread, for a machine others use too
    python -m tests.benchmarks.chatterbox --dtype float32 --eager --batches 1 8 32 128
                                                          of ours on a GPU: precision, no CUDA graphs, rows at a time

Both sides run the same random weights, texts, sampling and token counts on the same machine, each in a process of its
own, on the GPU where there is one (upstream in fp32, as always; ours in bfloat16 unless told). A rate is tokens of all
rows by the time beyond their first token, the better of two runs. Whole takes are measured by `vocoder.py --what take`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.chatterbox import weights
from tests.chatterbox.t3_cases import TEXTS

BATCHES = (1, 8, 32)
TARGET_BATCH, TARGET = 8, 6.0
MARK = "result: "
Clock = Callable[[], float]


def main() -> int:
    """Run both sides, print the table; the last line is the figure that counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="4 layers, fewer tokens")
    parser.add_argument("--turbo", action="store_true", help="Turbo instead of the Original")
    parser.add_argument("--check", action="store_true", help="fail if the target is missed")
    parser.add_argument("--tokens", type=int, help="tokens of each row")
    parser.add_argument("--cpu-time", action="store_true", help="CPU seconds of one thread instead of seconds")
    parser.add_argument("--dtype", help="of our engine; by default what the product takes on this device")
    parser.add_argument("--eager", action="store_true", help="ours without torch.compile and CUDA graphs")
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    parser.add_argument("--weights", type=Path, help="folder to keep the random weights in, or to take them from")
    parser.add_argument("--side", choices=("upstream", "ours"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    variant = "turbo" if args.turbo else "original"
    tokens = args.tokens or (16 if args.quick else 40)
    if args.side:
        clock = time.process_time if args.cpu_time else time.perf_counter
        if args.side == "upstream":
            measured = upstream(args.folder, variant, tokens, clock)
        else:
            engine = {"dtype": args.dtype} if args.dtype else {}
            engine |= {"enforce_eager": True} if args.eager else {}
            measured = ours(args.folder, variant, tokens, clock, args.batches, engine)
        measured["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(MARK + json.dumps(measured))
        return 0
    with tempfile.TemporaryDirectory(prefix="voicetrack-bench-") as temporary:
        folder = str(args.weights or temporary)
        write = weights.write_turbo if args.turbo else weights.write_original
        if not any(Path(folder).glob("t3_*.safetensors")):
            write(Path(folder), layers=4 if args.quick else None, ends=False)
        weights.write_voice(Path(folder) / "voice.pt", 375 if args.turbo else 150)
        theirs = _side("upstream", folder, args, tokens)
        mine = _side("ours", folder, args, tokens)
    size = "4 layers" if args.quick else "full size"
    cores = "CPU seconds of one thread" if args.cpu_time else f"{os.cpu_count()} cores"
    print(f"T3 of Chatterbox {variant}, {size}, {tokens} tokens a row, {cores}")
    print(f"  upstream, one at a time  {theirs['rate']:7.1f} tokens/s             peak {theirs['peak_mib']:6.0f} MiB")
    for batch, rate in mine["rates"].items():
        print(f"  ours, batch {batch:>3}          {rate:7.1f} tokens/s  {rate / theirs['rate']:5.1f}x", end="")
        print(f"     peak {mine['peak_mib']:6.0f} MiB" if batch == str(args.batches[-1]) else "")
    ratio = mine["rates"][str(TARGET_BATCH)] / theirs["rate"]
    print(f"T3 decode at batch {TARGET_BATCH}: {ratio:.1f}x upstream (target {TARGET:g}x, full size)")
    return int(args.check and ratio < TARGET)


def upstream(folder: Path, variant: str, tokens: int, clock: Clock) -> dict:
    """Upstream's rate on one text after the other."""
    from tests.chatterbox import upstream_t3

    t3, encode = upstream_t3.load(folder, variant, device()), upstream_t3.tokenizer(folder, variant)

    def speak(count: int, longest: int) -> None:
        for payload in _payloads(folder, variant, count, longest):
            upstream_t3.speak(t3, encode, payload, variant, coupled=False)

    return {"rate": _rate(speak, 2, tokens, clock)}


def device() -> str:
    """The GPU where there is one."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def ours(folder: Path, variant: str, tokens: int, clock: Clock, batches: Sequence[int], engine: dict) -> dict:
    """Our rates at each batch size, from one engine."""
    from engine.records import Request
    from stages.tts.chatterbox.t3_backend import T3Spec

    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    env = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
    env |= {"VLLM_CPU_KVCACHE_SPACE": os.environ.get("VLLM_CPU_KVCACHE_SPACE", "4")}
    engine = engine | {"max_num_seqs": max(batches), "max_model_len": 1024}
    with T3Spec(str(folder), variant, cache=str(folder), engine=engine, env=env).open() as t3:

        def speak(count: int, longest: int) -> None:
            rows = [Request(str(i), p) for i, p in enumerate(_payloads(folder, variant, count, longest))]
            for output in t3.stream(rows):
                if output.error or output.usage["output_tokens"] != longest:
                    raise RuntimeError(f"a row went wrong: {output}")

        return {"rates": {batch: _rate(speak, batch, tokens, clock) for batch in batches}}


def _rate(speak: Callable[[int, int], None], count: int, tokens: int, clock: Clock) -> float:
    """Tokens a second of `count` rows after their first token."""
    speak(count, 2)  # what is done once, prompts into the cache
    best = float("inf")
    for _ in range(2):
        times = []
        for longest in (1, tokens):
            began = clock()
            speak(count, longest)
            times.append(clock() - began)
        best = min(best, times[1] - times[0])
    if best <= 0:
        raise RuntimeError("the machine is too busy to measure anything; try --cpu-time")
    return count * (tokens - 1) / best


def _payloads(folder: Path, variant: str, count: int, tokens: int) -> list[dict]:
    from stages.tts.chatterbox.t3_sampling import resolve

    texts = (TEXTS[1], TEXTS[3], TEXTS[5], TEXTS[7])
    return [
        {
            "text": texts[i % len(texts)],
            "voice": str(Path(folder) / "voice.pt"),
            "sampling": resolve({"max_tokens": tokens, "seed": i}, variant),
        }
        for i in range(count)
    ]


def _side(side: str, folder: str, args: argparse.Namespace, tokens: int) -> dict:
    command = [sys.executable, "-m", __spec__.name, "--side", side, "--folder", folder, "--tokens", str(tokens)]
    command += ["--turbo"] if args.turbo else []
    command += ["--eager"] if args.eager else []
    command += ["--dtype", args.dtype] if args.dtype else []
    command += ["--batches", *map(str, args.batches)]
    command += ["--cpu-time"] if args.cpu_time else []
    env = os.environ | {"TQDM_DISABLE": "1"} | ({"OMP_NUM_THREADS": "1"} if args.cpu_time else {})
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
    if done.returncode or not lines:
        raise SystemExit(f"{side} failed:\n{done.stderr[-3000:]}")
    return json.loads(lines[-1].removeprefix(MARK))


if __name__ == "__main__":
    sys.exit(main())
