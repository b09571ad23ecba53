"""Silence at the ends of a take, and short fades so that it starts and ends without a click."""

from __future__ import annotations

import numpy as np

from stages.sound.clip import Clip, amplitude

FRAME_S = 0.005
FLOOR_DB = -70.0  # below full scale: silence however quiet the rest is


def trim(
    clip: Clip, silence_db: float = -45.0, head_s: float = 0.05, tail_s: float = 0.15
) -> tuple[Clip, float, float]:
    """Cut leading and trailing silence, keeping `head_s` and `tail_s` of it.

    Silence is whatever lies `silence_db` below the loudest 5 ms, or below -70 dBFS. Inner pauses stay.

    Returns:
        the trimmed clip (empty when all is silence), and the seconds cut from head and tail.
    """
    heard = np.flatnonzero(~silent_frames(clip, silence_db))
    if not len(heard):
        return clip.with_samples(clip.samples[:0]), clip.duration_s, 0.0
    frame = _frame(clip)
    start = max(0, heard[0] * frame - round(head_s * clip.sample_rate))
    end = min(len(clip.samples), (heard[-1] + 1) * frame + round(tail_s * clip.sample_rate))
    cut = (len(clip.samples) - end) / clip.sample_rate
    return clip.with_samples(clip.samples[start:end]), start / clip.sample_rate, cut


def silent_frames(clip: Clip, silence_db: float = -45.0) -> np.ndarray:
    """bool `[ceil(n / frame)]`: which frames of 5 ms are silence, in the sense of `trim`."""
    frame = _frame(clip)
    padded = np.pad(clip.samples.astype(np.float64), (0, -len(clip.samples) % frame))
    power = np.square(padded.reshape(-1, frame)).mean(1)
    threshold = max(power.max(initial=0.0) * amplitude(silence_db) ** 2, amplitude(FLOOR_DB) ** 2)
    return power < threshold


def fade(clip: Clip, fade_in_s: float = 0.005, fade_out_s: float = 0.03) -> Clip:
    """Raised-cosine fades, each at most half the clip long."""
    samples = clip.samples.copy()
    half = len(samples) // 2
    up = _ramp(min(round(fade_in_s * clip.sample_rate), half))
    down = _ramp(min(round(fade_out_s * clip.sample_rate), half))
    samples[: len(up)] *= up
    samples[len(samples) - len(down) :] *= down[::-1]
    return clip.with_samples(samples)


def _frame(clip: Clip) -> int:
    return max(1, round(FRAME_S * clip.sample_rate))


def _ramp(length: int) -> np.ndarray:
    return (0.5 - 0.5 * np.cos(np.pi * np.arange(length) / max(1, length))).astype(np.float32)
