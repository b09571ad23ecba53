"""True peaks and the limiter that holds them under a ceiling."""

from __future__ import annotations

import numpy as np

from stages.sound.clip import Clip, amplitude, decibels

OVERSAMPLED = 8  # BS.1770-4 annex 2 asks for 4 at 48 kHz; at speech's lower rates peaks lie further between samples
LOOKAHEAD_S = 0.008
_BLOCK = 8192


def true_peak(clip: Clip) -> float:
    """Highest true peak in dBTP, -inf for silence: the largest value of the oversampled signal."""
    return decibels(float(peaks(clip).max(initial=0.0)))


def peaks(clip: Clip) -> np.ndarray:
    """float32 `[n]`: how high the continuous signal gets within half a sample of each sample, sample included."""
    times = OVERSAMPLED
    if not len(clip.samples):
        return clip.samples
    import soxr

    # The filter wraps no edges: silence around the clip lets its first and last peak swing out.
    around = 32
    dense = soxr.resample(np.pad(clip.samples, around), clip.sample_rate, clip.sample_rate * times, quality="HQ")
    first = around * times - times // 2
    highest = np.abs(clip.samples)
    for start in range(0, len(highest), _BLOCK):  # blocks fit the cache; a maximum over a short last axis is slow
        block = highest[start : start + _BLOCK]
        swung = np.abs(dense[first + start * times : first + (start + len(block)) * times])
        for at in range(times):
            np.maximum(block, swung[at::times], out=block)
    before, after = dense[:first], dense[first + len(highest) * times :]
    highest[0] = max(highest[0], np.abs(before).max())  # a clip cut off short swings out beyond its ends
    highest[-1] = max(highest[-1], np.abs(after).max())
    return highest


def limit(clip: Clip, ceiling_db: float, found: np.ndarray | None = None) -> Clip:
    """Hold true peaks at or under `ceiling_db` dBTP; a clip already under it comes back as it is.

    Args:
        found: `peaks(clip)`, where the caller has it.
    """
    found = peaks(clip) if found is None else found
    ceiling = amplitude(ceiling_db)
    aim = ceiling * 0.998  # a moving gain bends the curve between samples a little
    limited, highest = clip, float(found.max(initial=0.0))
    for _ in range(4):
        if highest <= ceiling:
            return limited
        if limited is not clip:
            aim *= ceiling / highest * 0.9999
        limited = press(clip, aim, found)
        highest = float(peaks(limited).max())
    return limited.with_samples(limited.samples * np.float32(min(1.0, ceiling / highest * 0.9999)))


def press(clip: Clip, ceiling: float, found: np.ndarray) -> Clip:
    """One pass of the look-ahead limiter: samples, and very nearly true peaks, at or under the amplitude `ceiling`.

    The gain each moment needs is held over a window and smoothed over the same window, so that it has fallen before
    the peak and never jumps.

    Args:
        found: float32 `[n]`, `peaks(clip)`.
    """
    from scipy.ndimage import minimum_filter1d, uniform_filter1d

    needed = np.minimum(1.0, ceiling / np.maximum(found.astype(np.float64), 1e-9))
    half = max(1, round(LOOKAHEAD_S * clip.sample_rate / 2))
    # Two boxes of 2·half+1 reach 2·half to each side: the held minimum must reach as far.
    held = minimum_filter1d(needed, 4 * half + 1, mode="nearest")
    smooth = uniform_filter1d(uniform_filter1d(held, 2 * half + 1, mode="nearest"), 2 * half + 1, mode="nearest")
    return clip.with_samples(clip.samples * np.minimum(smooth, 1.0).astype(np.float32))
