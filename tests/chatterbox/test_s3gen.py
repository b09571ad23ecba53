"""S3Gen in batches against upstream's S3Gen, one utterance at a time with the same seed."""

from __future__ import annotations

import pytest
import torch

from stages.tts.chatterbox.s3gen import Utterance, Vocoder, buckets, full_fp32, halving, spoken_tokens
from tests.chatterbox.s3gen_weights import random_reference, random_s3gen, random_tokens

LENGTHS = (20, 150, 33, 61)
MEL_TOLERANCE, WAVE_SNR = 1e-4, 60.0
STEPS = {False: 4, True: 2}  # of the Original only four here; its ten in the slow test at full depth


def utterances(lengths=LENGTHS) -> list[Utterance]:
    """Two voices in turn: one with an odd prompt (85 frames for 42 tokens), one more than twice as long."""
    voices = random_reference(42, 85, seed=1), random_reference(100, seed=2)
    return [Utterance(random_tokens(n, i), voices[i % 2], 1000 + i) for i, n in enumerate(lengths)]


@torch.inference_mode()
def upstream(model, utterance: Utterance, steps: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Mel (80, frames) and wave of upstream's own `S3Token2Wav.inference`, as `generate` calls it."""
    mels = []
    hook = model.mel2wav.f0_predictor.register_forward_pre_hook(lambda _, args: mels.append(args[0][0].clone()))
    torch.manual_seed(utterance.seed)
    tokens = utterance.tokens.to(model.device)
    wave, _ = model.inference(speech_tokens=tokens, ref_dict=dict(utterance.voice), n_cfm_timesteps=steps)
    hook.remove()
    return mels[0], wave[0]


def snr(got: torch.Tensor, wanted: torch.Tensor) -> float:
    """dB."""
    return float(10 * torch.log10(wanted.square().sum() / (got - wanted).square().sum().clamp_min(1e-30)))


@pytest.fixture(scope="module", params=["original", "turbo"])
def made(request):
    """Our vocoder, and what upstream made of `utterances()` with the same weights before."""
    model = random_s3gen(meanflow=request.param == "turbo")
    steps = STEPS[model.meanflow]
    reference = [upstream(model, u, steps) for u in utterances()]
    return Vocoder(model, steps=steps), reference


@pytest.fixture
def vocoder(made):
    return made[0]


@pytest.fixture
def reference(made):
    """(mel, wave) of each of `utterances()`."""
    return made[1]


@pytest.fixture(scope="module")
def batched(made):
    """Our waves of `utterances()`, made in one batch."""
    return made[0].waves(utterances())


def test_the_reference_can_tell_right_from_wrong(vocoder, reference):
    """Weights whose waves were silent, clipped or all unvoiced would agree with anything."""
    for mel, wave in reference:
        f0 = vocoder.model.mel2wav.f0_predictor(mel[None])
        assert 0.1 < float((f0 > 10).float().mean()) and float(f0.max()) > 60
        assert 0.005 < float(wave.std()) < 0.5 and float((wave.abs() > 0.98).float().mean()) < 0.01
        assert float(mel.std()) > 0.3


def test_mels_of_a_ragged_batch_are_upstreams(vocoder, reference):
    for got, (wanted, _) in zip(vocoder.mels(utterances()), reference, strict=True):
        assert got.shape == wanted.shape
        assert float((got - wanted).abs().max()) <= MEL_TOLERANCE


def test_waves_of_a_ragged_batch_are_upstreams(batched, reference):
    for got, (_, wanted) in zip(batched, reference, strict=True):
        assert got.shape == wanted.shape
        assert snr(got, wanted) >= WAVE_SNR


def test_a_wave_does_not_depend_on_its_batch(vocoder):
    us = utterances((20, 45, 31))
    together = vocoder.waves(us)
    for u, wave in zip(us, together, strict=True):
        (alone,) = vocoder.waves([u])
        assert snr(wave, alone) >= WAVE_SNR
    for wave, again in zip(together, reversed(vocoder.waves(us[::-1])), strict=True):
        assert snr(wave, again) >= WAVE_SNR


def test_the_end_of_a_padded_row_is_upstreams(batched, reference):
    """Plain zero padding spoils the last 140 ms; the whole wave's SNR would barely show it in a long one."""
    for got, (_, wanted) in zip(batched, reference, strict=True):
        assert snr(got[-3360:], wanted[-3360:]) >= WAVE_SNR - 6


def test_another_seed_is_another_take(vocoder):
    (u,) = utterances((20,))
    one, other = vocoder.waves([u, Utterance(u.tokens, u.voice, u.seed + 1)])
    assert snr(one, other) < 20


def test_hift_in_several_parts_changes_nothing(vocoder):
    us = utterances((20, 45, 31))
    parts = Vocoder(vocoder.model, steps=vocoder.steps, hift_frames=100)
    for a, b in zip(parts.waves(us), vocoder.waves(us), strict=True):
        assert snr(a, b) >= WAVE_SNR


def test_voices_are_left_as_they_were(vocoder):
    (u,) = utterances((20,))
    before = {k: v.dtype for k, v in u.voice.items() if v is not None}
    vocoder.waves([u])
    assert {k: v.dtype for k, v in u.voice.items() if v is not None} == before


def test_bf16_flow_stays_close_and_leaves_f0_and_hift_in_fp32(vocoder, reference):
    reduced = Vocoder(vocoder.model, flow="bf16", steps=vocoder.steps)
    wanted = reference[0][0]
    (mel,) = reduced.mels(utterances()[:1])
    assert mel.dtype == torch.float32
    assert 25 < snr(mel, wanted) < 70


@pytest.mark.parametrize(("flow", "in_flow"), [("fp32", "ieee"), ("bf16", "ieee"), ("tf32", "tf32")])
def test_tf32_is_off_for_all_but_a_flow_that_asks_for_it(vocoder, flow, in_flow):
    """The switches each module ran under; a GPU's own default for convolutions is TF32."""
    ran: dict[str, set[tuple[str, str]]] = {"flow": set(), "mel2wav": set()}
    convolutions = [
        (part, module)
        for part in ran
        for module in getattr(vocoder.model, part).modules()
        if isinstance(module, torch.nn.Conv1d | torch.nn.ConvTranspose1d | torch.nn.Linear)
    ]

    def note(part: str) -> None:
        ran[part].add((torch.backends.cudnn.conv.fp32_precision, torch.backends.cuda.matmul.fp32_precision))

    hooks = [module.register_forward_pre_hook(lambda *_, part=part: note(part)) for part, module in convolutions]
    before = torch.backends.cudnn.conv.fp32_precision
    try:
        Vocoder(vocoder.model, flow=flow, steps=1).waves(utterances((20,)))
    finally:
        for hook in hooks:
            hook.remove()
    assert ran == {"flow": {(in_flow, in_flow)}, "mel2wav": {("ieee", "ieee")}}
    assert torch.backends.cudnn.conv.fp32_precision == before != "ieee"


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["original", "turbo"])
def test_full_depth_agrees_too(variant):
    model = random_s3gen(meanflow=variant == "turbo", shallow=False)
    us = utterances((20, 90))
    wanted = [upstream(model, u) for u in us]
    ours = Vocoder(model)
    for got, (mel, _) in zip(ours.mels(us), wanted, strict=True):
        assert float((got - mel).abs().max()) <= MEL_TOLERANCE
    for got, (_, wave) in zip(ours.waves(us), wanted, strict=True):
        assert snr(got, wave) >= WAVE_SNR


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("variant", ["original", "turbo"])
def test_a_gpu_agrees_too(variant):
    """Upstream's generators on host and device are both seeded by `manual_seed`; TF32 is off on both sides."""
    model = random_s3gen(meanflow=variant == "turbo", shallow=False).to("cuda")
    us = utterances()
    with full_fp32():
        wanted = [upstream(model, u) for u in us]
    ours = Vocoder(model)
    for got, (mel, _) in zip(ours.mels(us), wanted, strict=True):
        assert float((got - mel).abs().max()) <= MEL_TOLERANCE
    for got, (_, wave) in zip(ours.waves(us), wanted, strict=True):
        assert snr(got, wave) >= WAVE_SNR - 5


@pytest.mark.parametrize(
    ("tokens", "turbo", "spoken"),
    [
        ([6561, 5, 6562, 9], False, [5, 9]),
        ([5, 9], True, [5, 9, 4299, 4299, 4299]),
        ([6561, 8000], True, []),
        ([], False, []),
    ],
)
def test_only_speech_is_spoken_and_turbo_ends_in_silence(tokens, turbo, spoken):
    assert spoken_tokens(tokens, turbo).tolist() == spoken


def test_buckets_keep_the_padded_size_within_the_budget():
    lengths = [700, 90, 100, 350, 80, 300, 2000, 95]
    batches = buckets(lengths, int, 700)
    assert sorted(n for batch in batches for n in batch) == sorted(lengths)
    assert all(len(batch) == 1 or len(batch) * max(batch) <= 700 for batch in batches)
    assert batches[0] == [2000] and len(batches) == 4


def test_a_batch_that_does_not_fit_is_halved_until_it_does():
    seen, halved = [], []

    def run(items):
        seen.append(len(items))
        if len(items) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [2 * i for i in items]

    assert halving(run, list(range(7)), halved.append) == [0, 2, 4, 6, 8, 10, 12]
    assert halved == [7, 3, 4] and max(s for s in seen if s <= 2) == 2


def test_one_item_that_does_not_fit_is_an_error():
    def run(_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        halving(run, [1, 2], lambda _: None)
