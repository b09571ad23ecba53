"""Integrated loudness by ITU-R BS.1770-4, and bringing a clip to a target without breaking its peak ceiling."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from stages.sound.clip import Clip, amplitude, decibels
from stages.sound.peaks import limit, peaks, press
from stages.sound.resample import resample

LEAST_HZ = 22050  # below, the weighting filters are bent too far from their definition at 48 kHz (0.1 LU)
STEP_S = 0.1  # gating blocks of 400 ms start every 100 ms
BLOCK_S = 0.4
MARGIN_DB = 0.05  # under the ceiling: meters differ in their oversampling filter
CLOSE_LU = 0.1


def loudness(clip: Clip) -> float:
    """Integrated loudness in LUFS, -inf for silence.

    Measured over whole gating blocks only, as BS.1770 has it. A clip too short for one block (400 ms) is measured as
    one block of its own mean power: padded with silence and raised by the share it does not fill.
    """
    if clip.sample_rate < LEAST_HZ:
        clip = resample(clip, 48000)
    samples, rate = clip.samples.astype(np.float64), clip.sample_rate
    step = math.ceil(STEP_S * rate)
    block = 4 * step
    if len(samples) < block:
        samples = np.pad(samples, (0, block - len(samples))) * math.sqrt(block / max(len(samples), 1))
    # pyloudnorm rounds to the nearest number of blocks: give it a whole number.
    samples = samples[: len(samples) // step * step]
    return float(_meter(rate).integrated_loudness(samples)) if samples.any() else -math.inf


def normalise(
    clip: Clip, target_lufs: float = -18.0, ceiling_dbtp: float = -1.0, max_limiting_db: float = 12.0
) -> tuple[Clip, float]:
    """Bring `clip` to `target_lufs`, true peaks under `ceiling_dbtp`.

    Where the gain pushes peaks over the ceiling they are limited and the loudness that costs is made up with more
    gain, in rounds, until the result is within 0.1 LU or the limiter would have to take more than `max_limiting_db`
    off the highest peak; then the clip stays quieter than the target.

    Returns:
        the clip, and the gain in dB applied before limiting.

    Raises:
        ValueError: the clip is silence, which no gain makes loud.
    """
    measured = loudness(clip)
    if not math.isfinite(measured):
        raise ValueError("silence has no loudness")
    found = peaks(clip)
    highest = float(found.max())
    ceiling = ceiling_dbtp - MARGIN_DB
    most = ceiling + max_limiting_db - decibels(highest)
    gain, slope, before = min(target_lufs - measured, most), 1.0, None
    for _ in range(8):
        factor = np.float32(amplitude(gain))
        if decibels(highest * factor) <= ceiling:
            break
        short = target_lufs - gain - loudness(press(clip, amplitude(ceiling) / factor, found))
        if abs(short) <= CLOSE_LU or (gain >= most and short > 0):
            break
        if before and gain != before[0]:  # under the limiter a dB of gain gives less than a dB of loudness
            slope = min(max((before[1] - short) / (gain - before[0]), 0.2), 1.0)
        before = gain, short
        gain = min(gain + short / slope, most)
    return limit(clip.with_samples(clip.samples * factor), ceiling, found * factor), gain


@lru_cache(maxsize=8)
def _meter(rate: int):
    import pyloudnorm

    # "DeMan" is the filter pair of the recommendation itself, re-derived for other rates; the default approximates it.
    return pyloudnorm.Meter(rate, filter_class="DeMan", block_size=BLOCK_S)
