"""Integrated loudness by ITU-R BS.1770-4, and bringing a clip to a target without breaking its peak ceiling."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from stages.sound.clip import Clip, amplitude, decibels
from stages.sound.peaks import limit, peaks, press

STEP_S = 0.1  # gating blocks of 400 ms start every 100 ms
BLOCK_S = 0.4
MARGIN_DB = 0.05  # under the ceiling: meters differ in their oversampling filter
CLOSE_LU = 0.1


def loudness(clip: Clip) -> float:
    """Integrated loudness in LUFS, -inf for silence.

    Measured over whole gating blocks only, as BS.1770 has it. A clip too short for one block (400 ms) is measured
    over the silence-padded block that holds it, then corrected by the share it fills: its mean power while it sounds.
    """
    samples, rate = clip.samples.astype(np.float64), clip.sample_rate
    step = math.ceil(STEP_S * rate)
    share = 1.0
    if len(samples) < 4 * step:
        share = max(len(samples), 1) / (4 * step)
        samples = np.pad(samples, (0, 4 * step - len(samples)))
    # pyloudnorm rounds to the nearest number of blocks: give it a whole number.
    samples = samples[: len(samples) // step * step]
    if not samples.any():
        return -math.inf
    return float(_meter(rate).integrated_loudness(samples)) - 10 * math.log10(share)


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
    gain = min(target_lufs - measured, most)
    for _ in range(6):
        factor = np.float32(amplitude(gain))
        if decibels(highest * factor) <= ceiling:
            break
        short = target_lufs - loudness(press(clip, amplitude(ceiling) / factor, found)) - gain
        if abs(short) <= CLOSE_LU or (gain >= most and short > 0):
            break
        gain = min(gain + short, most)
    return limit(clip.with_samples(clip.samples * factor), ceiling, found * factor), gain


@lru_cache(maxsize=8)
def _meter(rate: int):
    import pyloudnorm

    # "DeMan" is the filter pair of the recommendation itself, re-derived for other rates; the default approximates it.
    return pyloudnorm.Meter(rate, filter_class="DeMan", block_size=BLOCK_S)
