"""Chatterbox on a CUDA device against upstream on the same device, both in fp32, at upstream's full size.

Skipped where there is no GPU. Attention runs in vLLM's Triton kernels, told not to round fp32 to TF32.
"""

from __future__ import annotations

import pytest
import torch

from stages.tts.chatterbox.s3gen import Vocoder, full_fp32
from stages.tts.chatterbox.t3_backend import T3Spec
from tests.chatterbox import upstream_t3, weights
from tests.chatterbox.s3gen_weights import random_s3gen
from tests.chatterbox.t3_cases import GREEDY, requests, run, unlike
from tests.chatterbox.test_s3gen import MEL_TOLERANCE, snr, upstream, utterances

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")

ENGINE = {
    "dtype": "float32",
    "attention_backend": "TRITON_ATTN",
    "max_num_seqs": 16,
    "max_model_len": 1024,
    "gpu_memory_utilization": 0.4,
}
WAVE_SNR = 55.0  # dB; other kernels than on a CPU, and over 10 s small differences of f0 add up in the phase
ENV = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "TRITON_F32_DEFAULT": "ieee"}


@pytest.fixture(scope="module", params=["original", "turbo"])
def spoken(request, tmp_path_factory, t3_voices):
    """Variant, checkpoint folder, twelve greedy rows, and what upstream makes of each alone."""
    variant = request.param
    folder = tmp_path_factory.mktemp(variant)
    (weights.write_original if variant == "original" else weights.write_turbo)(folder, layers=None)
    rows = requests(t3_voices, variant, longest=24, count=GREEDY)
    values = upstream_t3.speak_all(folder, variant, [row.payload for row in rows], "cuda")
    torch.cuda.empty_cache()
    return variant, folder, rows, {row.key: value for row, value in zip(rows, values)}


@pytest.mark.parametrize("eager", [True, False], ids=["eager", "cuda graphs"])
def test_t3_in_one_batch_gives_upstreams_tokens(spoken, t3_cache, eager):
    variant, folder, rows, wanted = spoken
    assert len({tuple(value["tokens"]) for value in wanted.values()}) == len(rows)
    spec = T3Spec(str(folder), variant, cache=str(t3_cache), engine=ENGINE | {"enforce_eager": eager}, env=ENV)
    with spec.open() as t3:
        assert unlike(run(t3, rows), wanted) == []


@pytest.mark.parametrize("variant", ["original", "turbo"])
def test_s3gen_in_one_batch_gives_upstreams_mels_and_waves(variant):
    model = random_s3gen(meanflow=variant == "turbo", shallow=False).to("cuda")
    spoken = [
        type(u)(u.tokens, {k: v.cuda() if torch.is_tensor(v) else v for k, v in u.voice.items()}, u.seed)
        for u in utterances((20, 250, 33, 61, 120, 90))
    ]
    with full_fp32():
        wanted = [upstream(model, u) for u in spoken]
    vocoder = Vocoder(model)
    placed = [type(u)(u.tokens.cpu(), vocoder.place(u.voice), u.seed) for u in spoken]
    for got, (mel, _) in zip(vocoder.mels(placed), wanted, strict=True):
        assert float((got - mel).abs().max()) <= MEL_TOLERANCE
    for got, (_, wave) in zip(vocoder.waves(placed), wanted, strict=True):
        assert snr(got, wave) >= WAVE_SNR
