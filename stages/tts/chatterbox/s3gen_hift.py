"""Mel spectrograms to waveforms for a ragged batch: upstream's HiFT modules with every row cut off at its own end.

Follows `chatterbox/models/s3gen/hifigan.py` (`HiFTGenerator`, `SineGen`) and `f0_predictor.py`. Their convolutions look
both ways and know no lengths, so padding would corrupt the last ~140 ms of a row. Here each convolution's input is zero
beyond the row's end, exactly what its own zero padding supplies when the row is alone; the STFT reflects at each row's
end, and the inverse STFT divides by each row's own window envelope.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize

from stages.tts.chatterbox.s3gen_flow import Draws, keep_mask

if TYPE_CHECKING:
    from chatterbox.models.s3gen.hifigan import HiFTGenerator, ResBlock


def fold_weight_norm(module: nn.Module) -> None:
    """Replace weight-normed weights by their values, in place: exact, and nothing is recomputed on each call."""
    for layer in module.modules():
        if parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight")


@torch.inference_mode()
def hift_waves(
    hift: HiFTGenerator, mels: Sequence[torch.Tensor], draws: Sequence[Draws], fade: torch.Tensor
) -> list[torch.Tensor]:
    """Waves (480·frames,) float32 at 24 kHz of `mels` (80, frames each).

    Args:
        draws: noise of each row; its flow noise must have been drawn already.
        fade: upstream's `trim_fade`, multiplied into the start of each wave.
    """
    device = hift.conv_pre.weight.device
    frames = [mel.shape[1] for mel in mels]
    x = torch.zeros(len(mels), mels[0].shape[0], max(frames), device=device)
    for i, mel in enumerate(mels):
        x[i, :, : frames[i]] = mel
    source = _source(hift, x, frames, draws)
    waves = _decode(hift, x, source, frames)
    upsampling = _upsampling(hift)
    waves[:, : fade.shape[0]] *= fade[: waves.shape[1]]
    return [waves[i, : upsampling * n] for i, n in enumerate(frames)]


def _upsampling(hift: HiFTGenerator) -> int:
    """Samples a mel frame."""
    return int(hift.f0_upsamp.scale_factor)


def _masked(x: torch.Tensor, keep: torch.Tensor | None) -> torch.Tensor:
    """`x` (B, C, T) with everything beyond each row's end zeroed."""
    return x if keep is None else x * keep[:, None]


def _pitch(hift: HiFTGenerator, mels: torch.Tensor, keep: torch.Tensor | None) -> torch.Tensor:
    """Fundamental frequency (B, frames) in Hz, `ConvRNNF0Predictor.forward`."""
    x = mels
    for layer in hift.f0_predictor.condnet:
        x = _masked(layer(x), keep) if isinstance(layer, nn.ELU) else layer(x)
    return hift.f0_predictor.classifier(x.transpose(1, 2)).squeeze(-1).abs()


def _source(hift: HiFTGenerator, mels: torch.Tensor, frames: list[int], draws: Sequence[Draws]) -> torch.Tensor:
    """The harmonic excitation (B, samples) of `SineGen` and `SourceModuleHnNSF`, zero beyond each row's end."""
    sine, upsampling = hift.m_source.l_sin_gen, _upsampling(hift)
    pitch = _pitch(hift, mels, keep_mask(frames, mels.shape[2], mels.device))
    pitch = hift.f0_upsamp(pitch[:, None])  # (B, 1, samples)
    harmonics = sine.harmonic_num + 1
    phase = torch.zeros(len(frames), harmonics, 1)
    noise = torch.zeros(len(frames), harmonics, pitch.shape[2], device=mels.device)
    for i, (n, row) in enumerate(zip(frames, draws, strict=True)):
        phase[i] = -math.pi + row.uniform_on_host(1, harmonics, 1)[0] * (2 * math.pi)
        noise[i, :, : upsampling * n] = row.normal(1, harmonics, upsampling * n)[0]
    phase[:, 0] = 0

    order = torch.arange(1, harmonics + 1, device=mels.device, dtype=mels.dtype)[:, None]
    angle = 2 * math.pi * (torch.cumsum(pitch * order / sine.sampling_rate, dim=-1) % 1)
    voiced = (pitch > sine.voiced_threshold).to(mels.dtype)
    level = voiced * sine.noise_std + (1 - voiced) * sine.sine_amp / 3
    waves = sine.sine_amp * torch.sin(angle + phase.to(mels.device)) * voiced + level * noise
    mixed = torch.tanh(hift.m_source.l_linear(waves.transpose(1, 2))).squeeze(-1)
    keep = keep_mask([upsampling * n for n in frames], mixed.shape[1], mels.device)
    return mixed if keep is None else mixed * keep


def _reflect_ends(x: torch.Tensor, lengths: list[int], pad: int) -> torch.Tensor:
    """`x` (B, S) with `pad` samples reflected at both ends of each row, (B, S + 2·pad)."""
    out = F.pad(torch.cat([x[:, 1 : pad + 1].flip(1), x], dim=1), (0, pad))
    last = torch.tensor(lengths, device=x.device)[:, None] - 1
    offsets = torch.arange(1, pad + 1, device=x.device)[None]
    return out.scatter(1, pad + last + offsets, x.gather(1, last - offsets))


def _decode(hift: HiFTGenerator, mels: torch.Tensor, source: torch.Tensor, frames: list[int]) -> torch.Tensor:
    """`HiFTGenerator.decode`: (B, 80, T) mels and (B, S) excitation to (B, S) waves."""
    n_fft, hop = hift.istft_params["n_fft"], hift.istft_params["hop_len"]
    samples = [_upsampling(hift) * n for n in frames]
    window = hift.stft_window.to(mels.device)
    spectrum = torch.view_as_real(
        torch.stft(
            _reflect_ends(source, samples, n_fft // 2), n_fft, hop, window=window, center=False, return_complex=True
        )
    )
    columns = [n // hop + 1 for n in samples]
    column_keep = keep_mask(columns, spectrum.shape[2], mels.device)
    excitation = _masked(torch.cat([spectrum[..., 0], spectrum[..., 1]], dim=1), column_keep)

    keep = keep_mask(frames, mels.shape[2], mels.device)
    x, lengths = _masked(hift.conv_pre(mels), keep), frames
    for i, up in enumerate(hift.ups):
        x = up(F.leaky_relu(x, hift.lrelu_slope))
        lengths = [n * up.stride[0] for n in lengths]
        if i == hift.num_upsamples - 1:
            x, lengths = hift.reflection_pad(x), columns
        keep = keep_mask(lengths, x.shape[2], mels.device)
        side = _residual(hift.source_resblocks[i], _masked(hift.source_downs[i](excitation), keep), keep)
        x = _masked(x, keep) + side
        branches = hift.resblocks[i * hift.num_kernels : (i + 1) * hift.num_kernels]
        x = sum(_residual(block, x, keep) for block in branches) / hift.num_kernels

    x = hift.conv_post(F.leaky_relu(x))
    half = n_fft // 2 + 1
    magnitude, phase = torch.exp(x[:, :half]).clip(max=1e2), torch.sin(x[:, half:])
    waves = _inverse(torch.polar(magnitude, phase), window, hop, column_keep)
    return waves.clamp(-hift.audio_limit, hift.audio_limit)


def _residual(block: ResBlock, x: torch.Tensor, keep: torch.Tensor | None) -> torch.Tensor:
    """`ResBlock.forward`; `x` and the result are zero beyond each row's end (Snake keeps zero at zero)."""
    for snake1, conv1, snake2, conv2 in zip(
        block.activations1, block.convs1, block.activations2, block.convs2, strict=True
    ):
        y = _masked(conv1(snake1(x)), keep)
        x = x + _masked(conv2(snake2(y)), keep)
    return x


def _inverse(spectrum: torch.Tensor, window: torch.Tensor, hop: int, keep: torch.Tensor | None) -> torch.Tensor:
    """Centred inverse STFT of (B, bins, columns) to (B, hop·(columns − 1)), each row with its own envelope."""
    n_fft = window.shape[0]
    weight = torch.ones(1, 1, spectrum.shape[2], device=spectrum.device) if keep is None else keep[:, None].float()
    pieces = torch.fft.irfft(spectrum, n=n_fft, dim=1) * window[:, None] * weight
    envelope = _overlap_add(window.square()[:, None] * weight, hop)
    waves = _overlap_add(pieces, hop) / envelope.where(envelope > 1e-11, 1.0)
    return waves[:, n_fft // 2 : -(n_fft // 2)]


def _overlap_add(pieces: torch.Tensor, hop: int) -> torch.Tensor:
    """Sum of (B, n, columns) pieces laid `hop` apart: (B, n + hop·(columns − 1)); `hop` divides n."""
    parts = pieces.unflatten(1, (-1, hop))  # (B, n / hop, hop, columns)
    last = parts.shape[1] - 1
    total = sum(F.pad(parts[:, j], (j, last - j)) for j in range(last + 1))
    return total.transpose(1, 2).flatten(1)
