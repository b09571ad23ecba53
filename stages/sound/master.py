"""The whole way of a take: trim → resample → loudness and peaks → encode → measure → tag → file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import RowError
from stages.sound.clip import Clip, amplitude
from stages.sound.disk import save
from stages.sound.encode import decode, encode
from stages.sound.loudness import loudness, normalise
from stages.sound.peaks import true_peak
from stages.sound.resample import resample
from stages.sound.settings import SoundSettings
from stages.sound.tags import Tags, tag
from stages.sound.trim import fade, trim

_OVERSHOOT_DB = {"mp3": 0.1, "opus": 0.45}  # of nine limited takes in ten; saves them a second encoding
_ENCODINGS = 5  # of one lossy file, to get its decoded peaks under the ceiling


@dataclass(frozen=True, slots=True)
class Figures:
    """What a finished take measures.

    Attributes:
        duration_s: seconds after trimming.
        lufs: integrated loudness.
        true_peak_dbtp: highest true peak.
        gain_db: applied to the synthesizer's samples.
        trimmed_head_s, trimmed_tail_s: silence cut off the ends.
    """

    duration_s: float
    lufs: float
    true_peak_dbtp: float
    gain_db: float
    trimmed_head_s: float
    trimmed_tail_s: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form, rounded to what means something."""
        return {name: round(value, 3) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True, eq=False)
class Mastered:
    """A take ready to be encoded: the clip, and what was done to it (see `Figures`)."""

    clip: Clip
    gain_db: float
    trimmed_head_s: float
    trimmed_tail_s: float

    def figures(self, heard: Clip | None = None) -> Figures:
        """Measure the clip, or `heard` in its place."""
        heard = heard or self.clip
        done = self.gain_db, self.trimmed_head_s, self.trimmed_tail_s
        return Figures(heard.duration_s, loudness(heard), true_peak(heard), *done)


def master(clip: Clip, settings: SoundSettings) -> Mastered:
    """Trim, resample, fade and normalise `clip`.

    Raises:
        RowError: `silent` when there is nothing but silence, `non_finite` when samples are no numbers.
    """
    if not np.isfinite(clip.samples).all():
        raise RowError("non_finite", "the take has samples that are no numbers")
    trimmed, head, tail = trim(clip, settings.silence_db, settings.head_s, settings.tail_s)
    if not len(trimmed.samples):
        raise RowError("silent", "the take is silence from end to end")
    trimmed = fade(resample(trimmed, settings.sample_rate or clip.sample_rate), settings.fade_in_s, settings.fade_out_s)
    try:
        finished, gain = normalise(trimmed, settings.target_lufs, _ceiling(settings), settings.max_limiting_db)
    except ValueError as error:
        raise RowError("silent", f"the take cannot be brought to a loudness: {error}") from error
    return Mastered(finished, gain, head, tail)


def write(path: Path, mastered: Mastered, settings: SoundSettings, tags: Tags) -> Figures:
    """Put the file that `render` makes in place in one step; returns its figures.

    Raises:
        OSError: the file cannot be written; nothing is left of it.
    """
    blob, figures = render(mastered, settings, tags)
    save(path, blob)
    return figures


def render(mastered: Mastered, settings: SoundSettings, tags: Tags) -> tuple[bytes, Figures]:
    """Encode, measure what a player will decode, and tag.

    Lossy codecs move peaks, at low bit rates by more than a decibel: until the decoded file is under the ceiling, the
    take is held to a lower one and encoded again; if five attempts do not do it, the rest comes off its level.

    Returns:
        the file's bytes and the figures of what they decode to.
    """
    clip, ceiling = mastered.clip, _ceiling(settings)
    for attempt in range(1, _ENCODINGS + 1):
        blob = encode(clip, settings.format, settings.bitrate_kbps, settings.bit_depth)
        figures = mastered.figures(decode(blob))
        over = figures.true_peak_dbtp - settings.ceiling_dbtp
        if over <= 0 or attempt == _ENCODINGS:
            break
        if attempt < _ENCODINGS - 1:
            ceiling -= over + 0.1
            clip, _ = normalise(mastered.clip, settings.target_lufs, ceiling, settings.max_limiting_db)
        else:
            clip = clip.with_samples(clip.samples * np.float32(amplitude(-over - 0.2)))
    return tag(blob, settings.format, tags), figures


def _ceiling(settings: SoundSettings) -> float:
    return settings.ceiling_dbtp - _OVERSHOOT_DB.get(settings.format, 0.0)
