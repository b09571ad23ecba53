"""Another sample rate for a clip."""

from __future__ import annotations

from stages.sound.clip import Clip


def resample(clip: Clip, sample_rate: int) -> Clip:
    """`clip` at `sample_rate` Hz, band-limited (soxr, VHQ); the same clip when it already is.

    The length is `n · new / old`, rounded.
    """
    if clip.sample_rate == sample_rate:
        return clip
    import soxr

    return Clip(soxr.resample(clip.samples, clip.sample_rate, sample_rate, quality="VHQ"), sample_rate)
