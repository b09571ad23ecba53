"""Through the package's own object: a checkpoint folder, upstream's `generate`, and our backend on the same tokens."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.records import Request
from stages.tts.chatterbox.checkpoint import locate
from stages.tts.chatterbox.s3gen_backend import S3GenSpec
from stages.tts.chatterbox.s3gen_takes import chunk_seed
from stages.tts.chatterbox.voices import BUILT_IN, VoiceStore
from tests.chatterbox.weights import depth

TEXTS = ("Good evening, night owls.", "The last train hums to itself.", "Stay close.")
TOKENS = (14, 31, 22)


def spoken_by_upstream(folder, variant: str) -> list[tuple[list[int], np.ndarray]]:
    """T3's tokens and the finished wave of each text, by `generate`, its S3Gen noise seeded per text."""
    from chatterbox.tts import ChatterboxTTS
    from chatterbox.tts_turbo import ChatterboxTurboTTS

    with depth(4):
        tts = (ChatterboxTurboTTS if variant == "turbo" else ChatterboxTTS).from_local(folder, "cpu")
    _never_stop(tts.t3)
    name = "inference_turbo" if variant == "turbo" else "inference"
    cap = "max_gen_len" if variant == "turbo" else "max_new_tokens"
    t3, s3gen = getattr(tts.t3, name), tts.s3gen.inference
    tokens: list[list[int]] = []

    def short_t3(**how):
        made = t3(**how | {cap: TOKENS[len(tokens)]})
        tokens.append(made.flatten().tolist())
        return made

    def seeded_s3gen(**how):
        torch.manual_seed(chunk_seed(len(tokens), 0))
        return s3gen(**how)

    setattr(tts.t3, name, short_t3)
    tts.s3gen.inference = seeded_s3gen
    torch.manual_seed(3)
    waves = [tts.generate(text)[0].numpy() for text in TEXTS]
    return list(zip(tokens, waves, strict=True))


@torch.no_grad()
def _never_stop(t3) -> None:
    """Random weights may end an utterance before it has begun; these run up to the cap."""
    t3.speech_head.weight[6562] = 0.0  # far below the best logits
    if t3.speech_head.bias is not None:
        t3.speech_head.bias[6562] = -1e4


@pytest.mark.parametrize("variant", ["turbo", pytest.param("original", marks=pytest.mark.slow)])
def test_our_batch_is_what_generate_makes_one_at_a_time(variant, request, t3_cache):
    folder = request.getfixturevalue(f"{variant}_folder")
    wanted = spoken_by_upstream(folder, variant)
    assert all(len(tokens) >= 10 for tokens, _ in wanted)

    found = locate(variant, str(folder))
    store = VoiceStore(found, t3_cache)
    store.ensure([], built_in=True)
    requests = [
        Request(str(i), {"chunks": [{"tokens": tokens, "pause_ms": 0}], "voice": BUILT_IN, "seed": i + 1})
        for i, (tokens, _) in enumerate(wanted)
    ]
    with S3GenSpec(str(folder), variant, str(store.folder), str(t3_cache), device="cpu").open() as s3gen:
        outputs = {o.key: o for step in s3gen.steps(requests) for o in step}
    for i, (_, wave) in enumerate(wanted):
        assert outputs[str(i)].error is None
        samples = outputs[str(i)].value["samples"]
        assert abs(len(samples) - len(wave)) <= 1  # the watermark's resampling may add a sample
        n = min(len(samples), len(wave))
        noise = np.square(samples[:n] - wave[:n]).sum()
        assert 10 * np.log10(np.square(wave).sum() / max(noise, 1e-30)) > 50
