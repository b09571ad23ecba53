"""Train the demo writer and auditor on text of the grammar: `python -m data.demo_models.train`.

The writer learns from scratch, but for a circuit for copying that is drawn in (`copying.py`): a short curriculum of
bare facts, then whole scripts. The auditor starts from the writer. They take some 50 and 12 minutes of one CPU core.
The same seed and the same torch build give the same models.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Plan:
    """How long and how hard to train.

    Attributes:
        steps, curriculum: optimizer steps; the first `curriculum` of them see bare names only.
        facts: weight of the loss on facts, against 1 on the words around them.
        tokens: batch size in tokens, padding included.
        matrix_rate, rate: peak learning rates of Muon (matrices) and AdamW (embeddings, norms).
        texts: scripts the tokenizer's vocabulary is learned from.
        pool: examples drawn at a time, from which batches of like length are made.
    """

    steps: int
    curriculum: int
    facts: float = 2.0
    tokens: int = 2048
    matrix_rate: float = 0.01
    rate: float = 2e-3
    texts: int = 9000
    pool: int = 1536


PLANS = {
    "writer": Plan(6600, 150, facts=3.0),
    "auditor": Plan(1600, 0, matrix_rate=0.005, rate=1e-3),
}
SMOKE = {
    "writer": Plan(40, 8, tokens=1024, texts=1500, pool=256),
    "auditor": Plan(20, 0, tokens=1024, pool=256),
}

AVERAGE = 0.99  # of the weights over steps: what is exported, steadier than any one step

Example = tuple[list[int], list[float]]  # token ids, and the weight of the loss at each


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m data.demo_models.train", description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=("writer", "auditor", "both"), default="both")
    parser.add_argument(
        "--out", type=Path, default=HERE, help="folder for writer/ and auditor/ (default: beside this file)"
    )
    parser.add_argument("--seed", type=int, default=884)
    parser.add_argument("--steps", type=int, help="optimizer steps, instead of the plan's")
    parser.add_argument(
        "--smoke", action="store_true", help="a minute of training: files that load, not texts that please"
    )
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(argv)
    with _torch_set_for_training(args.threads):
        for name in ("writer", "auditor") if args.model == "both" else (args.model,):
            plan = (SMOKE if args.smoke else PLANS)[name]
            if args.steps:
                plan = replace(plan, steps=args.steps, curriculum=min(plan.curriculum, args.steps // 6))
            train(name, args.out, plan, args.seed)


@contextmanager
def _torch_set_for_training(threads: int) -> Iterator[None]:
    """`threads` threads, tiny numbers taken for zero (they are slow), and torch's settings and dice as they were after.

    Taking tiny numbers for zero holds for all arithmetic of the process, Python's own too.
    """
    import torch

    before, flushed = torch.get_num_threads(), sys.float_info.min / 2 == 0.0
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_flush_denormal(flushed)
        torch.set_num_threads(before)


def train(name: str, out: Path, plan: Plan, seed: int) -> None:
    """Train `writer` or `auditor` into `out/<name>`; the auditor takes tokenizer and first weights from `out/writer`.

    Raises:
        FileNotFoundError: for the auditor, if `out/writer` holds no model yet.
    """
    import torch

    from data.demo_models.copying import draw_copying
    from data.demo_models.examples import auditor_examples, writer_examples
    from data.demo_models.model import Llama, Shape
    from data.demo_models.tokenizer import load_tokenizer, save_tokenizer, train_tokenizer

    if name == "auditor" and not (out / "writer" / "model.safetensors").exists():
        raise FileNotFoundError(f"{out / 'writer'} holds no model: train the writer first")
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    tokenizer = train_tokenizer(seed, plan.texts) if name == "writer" else load_tokenizer(out / "writer")
    save_tokenizer(tokenizer, folder)
    model = Llama(Shape())
    if name == "writer":
        draw_copying(model, seed)
    else:
        model.load_exported(out / "writer")
    draw = writer_examples if name == "writer" else auditor_examples
    pool = partial(draw, tokenizer, count=plan.pool, weight=plan.facts)
    fit(model, plan, lambda step, rng: pool(rng, bare=step < plan.curriculum), seed, folder)


def fit(model, plan: Plan, pool: Callable[[int, random.Random], Iterator[Example]], seed: int, folder: Path) -> None:
    """Run the optimizers over `plan.steps` batches of `pool`'s examples, exporting to `folder` now and then."""
    import torch
    from torch.nn import functional as F

    from data.demo_models.muon import Muon

    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    rest = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    optimizers = [
        Muon(matrices, lr=plan.matrix_rate, weight_decay=0.01),
        torch.optim.AdamW(rest, lr=plan.rate, betas=(0.9, 0.97), weight_decay=0.0),
    ]
    peaks = [group["lr"] for o in optimizers for group in o.param_groups]
    rng, batches = random.Random(seed), []
    average = [parameter.detach().clone() for parameter in model.parameters()]
    began, seen, smooth = time.time(), 0, None
    for step in range(plan.steps):
        if not batches:
            batches = list(_batches(pool(step, rng), plan.tokens, rng))
        ids, weights = batches.pop()
        seen += ids.numel()
        keep = weights[:, 1:] > 0
        logits = model(ids[:, :-1], keep)
        wanted = weights[:, 1:][keep]
        losses = F.cross_entropy(logits, ids[:, 1:][keep], reduction="none")
        loss = (losses * wanted).sum() / wanted.sum()
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(rest, 1.0)
        done = step / plan.steps
        scale = min(1.0, (step + 1) / 60) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))
        groups = [group for o in optimizers for group in o.param_groups]
        for group, peak in zip(groups, peaks, strict=True):
            group["lr"] = peak * scale
        for optimizer in optimizers:
            optimizer.step()
        smooth = loss.item() if smooth is None else 0.98 * smooth + 0.02 * loss.item()
        if step % 50 == 0 or step == plan.steps - 1:
            spent = time.time() - began
            pace = f"{seen / spent:,.0f} tokens/s {spent:.0f} s"
            print(f"{folder.name} step {step}/{plan.steps} loss {smooth:.4f} {pace}", flush=True)
        with torch.no_grad():
            for kept, parameter in zip(average, model.parameters(), strict=True):
                kept.lerp_(parameter, max(1 - AVERAGE, 1 / (step + 1)))
        if step % 200 == 199 or step == plan.steps - 1:
            model.export(folder, average)


def _batches(examples: Iterator[Example], tokens: int, rng: random.Random):
    """Batches of about `tokens` tokens from examples of like length, in random order: (ids, weights) tensors."""
    import torch

    ordered = sorted(examples, key=lambda e: len(e[0]))
    groups, group = [], []
    for example in ordered:
        if group and (len(group) + 1) * len(example[0]) > tokens:
            groups.append(group)
            group = []
        group.append(example)
    groups.append(group)
    rng.shuffle(groups)
    for group in groups:
        length = max(len(ids) for ids, _ in group)
        ids = torch.tensor([ids + [0] * (length - len(ids)) for ids, _ in group])
        yield ids, torch.tensor([w + [0.0] * (length - len(w)) for _, w in group])


if __name__ == "__main__":
    main()
