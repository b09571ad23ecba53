"""Chatterbox takes, ours in batches against upstream one at a time: same weights, same lengths, same machine.

    python -m tests.benchmarks.vocoder [--variant turbo|original] [--what vocoder|take] [--batches 1 8 32]
        [--tokens 40 80 120] [--prompt 42] [--takes N] [--layers N] [--flow fp32 tf32 bf16] [--device cpu|cuda]
        [--clock wall|cpu] [--weights DIR] [--json FILE]

`--what vocoder` times S3Gen alone: speech tokens to samples without watermark, one line a batch size. `--what take`
times whole takes, text to samples: T3 on vLLM and S3Gen against upstream's T3 and S3Gen, T3 stopped at the given token
counts on both sides. Each side runs in a process of its own, whose peak memory (device memory on a GPU, else resident
set) is told too. Weights are random, written once to a temporary folder at full size; speed does not depend on their
values. The last line is the best ratio.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from tests.benchmarks.full_size import write_chatterbox
from tests.chatterbox import weights
from tests.chatterbox.s3gen_weights import random_tokens, write_voice

TEXT = "The lamps along the water are going out one by one, and the last train hums to itself beyond the harbour."
RATE = 24_000


def write_checkpoint(folder: Path, how: dict[str, Any]) -> None:
    """Random weights, unless they are there, and a voice with the prompt that is asked for."""
    write_chatterbox(folder, how["variant"], how["depth"])
    voice = {"prompt": how["prompt"], "frames": 2 * how["prompt"] + 1}
    write_voice(folder / "conds.pt", tokens=375 if how["variant"] == "turbo" else 150, **voice)


def take_tokens(takes: int, lengths: list[int]) -> list[list[int]]:
    """Speech tokens of `takes` takes whose lengths go round `lengths`."""
    return [random_tokens(lengths[i % len(lengths)], i).tolist() for i in range(takes)]


def clock(how: dict[str, Any]) -> float:
    """Seconds by the wall, or of this process's CPU time where others share the machine."""
    return time.process_time() if how["clock"] == "cpu" else time.perf_counter()


def peak_mib(device: str) -> float:
    """Most memory this process has held."""
    import resource

    import torch

    if device == "cuda":
        return torch.cuda.max_memory_reserved() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def upstream(folder: str, how: dict[str, Any]) -> dict[str, float]:
    """Upstream's S3Gen, or T3 and S3Gen, one take after another."""
    import torch
    from chatterbox.tts import ChatterboxTTS
    from chatterbox.tts_turbo import ChatterboxTurboTTS

    turbo, device = how["variant"] == "turbo", how["device"]
    with weights.depth(how["depth"]):
        tts = (ChatterboxTurboTTS if turbo else ChatterboxTTS).from_local(folder, device)
    steps = 2 if turbo else 10
    name, cap = ("inference_turbo", "max_gen_len") if turbo else ("inference", "max_new_tokens")
    whole_t3, whole_s3gen = getattr(tts.t3, name), tts.s3gen.inference
    spent = {"t3_s": 0.0, "s3gen_s": 0.0, "samples": 0}

    def timed(key: str, run, **arguments):
        if device == "cuda":
            torch.cuda.synchronize()
        started = clock(how)
        made = run(**arguments)
        if device == "cuda":
            torch.cuda.synchronize()
        spent[key] += clock(how) - started
        return made

    def s3gen(tokens):
        wave, _ = timed("s3gen_s", whole_s3gen, speech_tokens=tokens, ref_dict=tts.conds.gen, n_cfm_timesteps=steps)
        spent["samples"] += wave.shape[-1]

    def takes(count: int) -> None:
        for i, tokens in enumerate(take_tokens(count, how["tokens"])):
            if how["what"] == "vocoder":
                s3gen(torch.tensor(tokens + [4299] * 3 * turbo, device=device))
                continue
            length = how["tokens"][i % len(how["tokens"])]
            setattr(tts.t3, name, lambda **k: timed("t3_s", whole_t3, **k | {cap: length}))  # noqa: B023
            tts.s3gen.inference = lambda **k: (s3gen(k["speech_tokens"]), (torch.zeros(1, RATE), None))[1]
            tts.generate(TEXT)

    takes(1)
    spent.update(t3_s=0.0, s3gen_s=0.0, samples=0)
    takes(how["takes"])
    return spent | {"peak_mib": peak_mib(device)}


def ours(folder: str, how: dict[str, Any]) -> dict[str, Any]:
    """Our T3 and S3Gen backends over all takes at once; S3Gen at each batch size."""
    t3: dict[str, Any] = {"tokens": take_tokens(how["takes"], how["tokens"])}
    if how["what"] == "take":
        t3 = _our_t3(folder, how)
    return {
        "t3_s": t3.get("t3_s", 0.0),
        "runs": [run for flow in how["flow"] for run in _our_s3gen(folder, how, t3["tokens"], flow)],
        "peak_mib": peak_mib(how["device"]),
    }


def _our_t3(folder: str, how: dict[str, Any]) -> dict[str, Any]:
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")
    from engine.records import Request
    from stages.tts.chatterbox.t3_backend import T3Spec

    spec = T3Spec(folder, how["variant"], voices=folder, cache=str(Path(folder) / "cache"))
    lengths = how["tokens"]

    def request(i: int) -> Request:
        sampling = {"max_tokens": lengths[i % len(lengths)], "seed": i}
        return Request(str(i), {"text": TEXT, "voice": "conds", "sampling": sampling})

    with spec.open() as t3:
        list(t3.steps([request(0)]))
        started = clock(how)
        made = {o.key: o for step in t3.steps(request(i) for i in range(how["takes"])) for o in step}
        spent = clock(how) - started
    return {"t3_s": spent, "tokens": [made[str(i)].value["tokens"] for i in range(how["takes"])]}


def _our_s3gen(folder: str, how: dict[str, Any], tokens: list[list[int]], flow: str) -> list[dict[str, Any]]:
    from engine.records import Request
    from stages.tts.chatterbox.s3gen_backend import S3GenSpec

    longest = 2 * (how["prompt"] + max(map(len, tokens)) + 3)
    runs = []
    options = {"flow": flow, "device": how["device"], "watermark": False}
    spec = S3GenSpec(folder, how["variant"], folder, str(Path(folder) / "cache"), **options)
    requests = [
        Request(str(i), {"chunks": [{"tokens": t, "pause_ms": 0}], "voice": "conds", "seed": i})
        for i, t in enumerate(tokens)
    ]
    with spec.open() as s3gen:
        list(s3gen.steps(requests[:1]))
        for batch in how["batches"]:
            s3gen.frames = batch * longest
            for _ in range(2 if how["device"] == "cuda" else 1):  # the first time takes memory and chooses kernels
                started = clock(how)
                samples = sum(len(o.value["samples"]) for step in s3gen.steps(requests) for o in step)
                spent = clock(how) - started
            runs.append({"flow": flow, "batch": batch, "s3gen_s": spent, "samples": samples})
    return runs


def alone(run, *arguments) -> dict[str, Any]:
    """`run` in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(run, *arguments).result()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", choices=("turbo", "original"), default="turbo")
    parser.add_argument("--what", choices=("vocoder", "take"), default="vocoder")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--tokens", type=int, nargs="+", default=[40, 80, 120])
    parser.add_argument("--takes", type=int, default=12)
    parser.add_argument("--layers", type=int, default=None, help="of T3; all of them by default")
    parser.add_argument("--prompt", type=int, default=42, help="speech tokens of the voice prompt, 25 a second")
    parser.add_argument("--flow", choices=("fp32", "tf32", "bf16"), nargs="+", default=["fp32"])
    parser.add_argument("--device", choices=("cpu", "cuda"), default=None)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="cpu on a busy machine, 1 thread")
    parser.add_argument("--weights", type=Path, help="folder to keep the random weights in, or to take them from")
    parser.add_argument("--json", type=Path)
    how = vars(parser.parse_args())
    import torch

    how["device"] = how["device"] or ("cuda" if torch.cuda.is_available() else "cpu")
    report, kept = how.pop("json"), how.pop("weights")
    how["depth"] = how.pop("layers") if kept or how["what"] == "take" else 1  # S3Gen alone needs no T3
    with tempfile.TemporaryDirectory() as temporary:
        folder = str(kept or temporary)
        write_checkpoint(Path(folder), how)
        theirs = alone(upstream, folder, how)
        mine = alone(ours, folder, how)
    seconds = theirs["samples"] / RATE
    total = theirs["t3_s"] + theirs["s3gen_s"]
    print(f"{how['takes']} takes, {seconds:.1f} s of audio, {how['variant']}, {how['device']}, "
          f"prompt of {how['prompt']} tokens")  # fmt: skip
    print(f"upstream: T3 {theirs['t3_s']:.2f} s, S3Gen {theirs['s3gen_s']:.2f} s, {seconds / total:.2f}x real time, "
          f"peak {theirs['peak_mib']:.0f} MiB")  # fmt: skip
    ratios = []
    for run in mine["runs"]:
        spent = mine["t3_s"] + run["s3gen_s"]
        ratios.append(total / spent)
        print(f"ours, S3Gen {run['flow']} batch {run['batch']:3d}: T3 {mine['t3_s']:.2f} s, "
              f"S3Gen {run['s3gen_s']:.2f} s, {run['samples'] / RATE / spent:.2f}x real time, "
              f"{ratios[-1]:.2f}x upstream")  # fmt: skip
    print(f"peak {mine['peak_mib']:.0f} MiB")
    if report:
        report.write_text(json.dumps({"how": how, "upstream": theirs, "ours": mine}, indent=1))
    print(f"ratio {max(ratios):.2f}")


if __name__ == "__main__":
    main()
