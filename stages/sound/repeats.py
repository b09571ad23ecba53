"""Does a take end by saying the same thing over and over? What speech models do when they miss their stop.

The spectrum's shape, frame by frame, is compared with itself some lag earlier. Where the last cycles of a lag are
alike the tail repeats. A drone is alike at every lag and found the same way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stages.sound.clip import Clip

HOP_S = 0.01
WINDOWS = {8000: 256, 16000: 512, 32000: 1024}  # samples, from a rate on: powers of two of about 25 ms
BANDS = 24
LOOK_S = 12.0  # how much of the end is looked at
# (cycles, shortest period in seconds, how alike they must be): few cycles have to be longer and more alike.
# Different words of one voice reach 0.4 and 0.58 at most, the same words said again at another pace 0.68 and more.
RULES = ((3, 0.2, 0.6), (2, 0.7, 0.68))
LONGEST_S = 4.0


@dataclass(frozen=True, slots=True)
class Repeat:
    """The last `period_s` seconds come `times` times over, `alike` (correlation, 1 is the same)."""

    period_s: float
    times: int
    alike: float


def repeated_tail(spoken: Clip) -> Repeat | None:
    """The repeat at the end of `spoken` (trimmed of silence), the one that covers most of it, or None."""
    shapes, heard = _shapes(spoken)
    found: Repeat | None = None
    for cycles, shortest, least in RULES:
        for lag in range(round(shortest / HOP_S), min(round(LONGEST_S / HOP_S), len(shapes) // cycles) + 1):
            alike = _alike(shapes, heard, lag, (cycles - 1) * lag)
            if alike < least:
                continue
            times = cycles
            while len(shapes) >= (times + 1) * lag and _alike(shapes, heard, lag, times * lag) >= least:
                times += 1
            if found is None or times * lag * HOP_S > found.times * found.period_s:
                found = Repeat(lag * HOP_S, times, alike)
    return found


def _alike(shapes: np.ndarray, heard: np.ndarray, lag: int, span: int) -> float:
    """Mean correlation of the last `span` frames with those `lag` before, over frames where either sounds."""
    end = len(shapes)
    now, before = slice(end - span, end), slice(end - span - lag, end - lag)
    weight = heard[now] | heard[before]
    if weight.sum() < span / 2:
        return 0.0
    return float(np.einsum("tb,tb->t", shapes[now], shapes[before])[weight].mean())


def _shapes(clip: Clip) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors `[frames, BANDS]` of how each frame's spectrum differs from the take's own mean, and bool
    `[frames]`: which frames are not silence (within 40 dB of the loudest)."""
    rate = clip.sample_rate
    samples = clip.samples[-round(LOOK_S * rate) :]
    hop, size = max(1, round(HOP_S * rate)), next((n for r, n in reversed(WINDOWS.items()) if rate >= r), 128)
    if len(samples) < size:
        return np.zeros((0, BANDS), np.float32), np.zeros(0, bool)
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[::hop] * np.hanning(size).astype(np.float32)
    power = np.square(np.abs(np.fft.rfft(frames)))
    edges = np.unique(np.geomspace(100, rate / 2, BANDS + 1) * size / rate).astype(int)
    bands = np.add.reduceat(power, np.unique(edges), axis=1)
    heard = power.sum(1) > power.sum(1).max() * 1e-4
    logs = np.log(bands + bands.max() * 1e-6)
    logs -= logs[heard].mean(0)
    logs = (logs + np.roll(logs, 1, 0) + np.roll(logs, -1, 0)) / 3  # repeats are never in step to the frame
    return logs / np.maximum(np.linalg.norm(logs, axis=1, keepdims=True), 1e-9), heard
