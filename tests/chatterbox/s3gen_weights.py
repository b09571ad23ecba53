"""Random S3Gen, voice encoder and voices in upstream's file format, and a clip to clone.

The weights are made lively where upstream's own initialisation would hide mistakes: biases are not zero, so that
padding which is not masked shows; the f0 predictor answers above and below the voicing threshold, so that both sources
sound.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

FILES = {
    "original": ("s3gen.safetensors", "ve.safetensors"),
    "turbo": ("s3gen_meanflow.safetensors", "ve.safetensors"),
    "multilingual": ("s3gen.pt", "ve.pt"),
}


def random_s3gen(meanflow: bool, shallow: bool = True, seed: int = 0):
    """Upstream's S3Gen with random weights; `shallow` takes fewer layers of each kind, and a narrower HiFT."""
    from chatterbox.models.s3gen import S3Gen
    from chatterbox.models.s3gen.decoder import ConditionalDecoder
    from chatterbox.models.s3gen.f0_predictor import ConvRNNF0Predictor
    from chatterbox.models.s3gen.hifigan import HiFTGenerator

    torch.manual_seed(seed)
    model = S3Gen(meanflow=meanflow).eval().requires_grad_(False)
    if shallow:
        encoder = model.flow.encoder
        encoder.encoders, encoder.up_encoders = encoder.encoders[:2], encoder.up_encoders[:1]
        model.flow.decoder.estimator = ConditionalDecoder(n_blocks=1, num_mid_blocks=2, meanflow=meanflow)
        model.mel2wav = HiFTGenerator(
            sampling_rate=24_000,
            base_channels=96,
            upsample_rates=[8, 5, 3],
            upsample_kernel_sizes=[16, 11, 7],
            source_resblock_kernel_sizes=[7, 7, 11],
            source_resblock_dilation_sizes=[[1, 3, 5]] * 3,
            f0_predictor=ConvRNNF0Predictor(cond_channels=128),
        )
        model.eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(seed + 1)
    for part in (model.flow, model.mel2wav):
        for name, p in part.named_parameters():
            if name.endswith("bias"):
                p.normal_(0, 0.1, generator=generator)
    if meanflow:  # or the end time of a step would count for nothing
        mixer = model.flow.decoder.estimator.time_embed_mixer.weight
        mixer[:, mixer.shape[0] :] = 0.02 * torch.randn(mixer.shape[0], mixer.shape[0], generator=generator)
    f0 = model.mel2wav.f0_predictor.classifier
    f0.weight.normal_(0, 30.0 * (512 / f0.in_features) ** 0.5, generator=generator)
    f0.bias.fill_(20.0)
    return model


def random_reference(tokens: int, frames: int | None = None, seed: int = 0) -> dict:
    """A reference dict as `embed_ref` gives it; `frames` may be one more than twice `tokens`."""
    g = torch.Generator().manual_seed(seed)
    return {
        "prompt_token": torch.randint(0, 6561, (1, tokens), generator=g),
        "prompt_token_len": torch.tensor([tokens]),
        "prompt_feat": torch.randn(1, frames or 2 * tokens, 80, generator=g) * 2 - 5,
        "prompt_feat_len": None,
        "embedding": torch.randn(1, 192, generator=g),
    }


def random_tokens(count: int, seed: int) -> torch.Tensor:
    """`count` speech tokens."""
    return torch.randint(0, 6561, (count,), generator=torch.Generator().manual_seed(seed))


def write_waveform_half(folder: Path, variant: str, seed: int = 0, voice: bool = True) -> Path:
    """S3Gen, voice encoder and, with `voice`, conds.pt of a checkpoint folder, at upstream's full size."""
    from chatterbox.models.voice_encoder import VoiceEncoder
    from safetensors.torch import save_file

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    state = random_s3gen(variant == "turbo", shallow=False, seed=seed).state_dict()
    if variant == "original":  # the published file lacks them; upstream loads it with strict=False
        state = {k: v for k, v in state.items() if k not in ("tokenizer._mel_filters", "tokenizer.window")}
    torch.manual_seed(seed + 2)
    for name, weights in zip(FILES[variant], (state, VoiceEncoder().state_dict()), strict=True):
        (torch.save if name.endswith(".pt") else save_file)(weights, folder / name)
    if voice:
        write_voice(folder / "conds.pt", seed=seed, tokens=375 if variant == "turbo" else 150)
    return folder


def write_voice(path: Path, seed: int = 0, tokens: int = 150, prompt: int = 42, frames: int | None = 85) -> Path:
    """A whole voice in the form of upstream's `Conditionals.save`."""
    g = torch.Generator().manual_seed(seed + 3)
    t3 = {
        "speaker_emb": torch.nn.functional.normalize(torch.randn(1, 256, generator=g).abs()),
        "clap_emb": None,
        "cond_prompt_speech_tokens": torch.randint(0, 6561, (1, tokens), generator=g),
        "cond_prompt_speech_emb": None,
        "emotion_adv": 0.5 * torch.ones(1, 1, 1),
    }
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    torch.save({"t3": t3, "gen": random_reference(prompt, frames, seed)}, path)
    return Path(path)


def speech_like(seconds: float, rate: int = 24_000, pitch: float = 120.0, peak: float = 0.5) -> np.ndarray:
    """A buzz with moving pitch in syllables, float32: what checks on clips take for speech."""
    t = np.arange(int(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(pitch * (1 + 0.1 * np.sin(2 * np.pi * 0.7 * t))) / rate
    buzz = sum(np.sin(k * phase) / k for k in range(1, 12))
    wave = buzz * np.clip(np.sin(2 * np.pi * 2.5 * t), 0, None)
    return (peak * wave / np.abs(wave).max()).astype(np.float32)


def write_clip(path: Path, seconds: float = 6.5, rate: int = 24_000, **how: float) -> Path:
    """A WAV of `speech_like`."""
    import soundfile

    soundfile.write(path, speech_like(seconds, rate, **how), rate)
    return Path(path)
