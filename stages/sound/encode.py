"""Samples to the bytes of a WAV, FLAC, MP3 or Opus file and back, by libsndfile."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np

from engine.errors import UserError
from stages.sound.clip import Clip
from stages.sound.resample import resample

LOSSY = frozenset({"mp3", "opus"})
BITRATES_KBPS = {"mp3": 96, "opus": 64}

_OPUS_RATES = (8000, 16000, 24000, 48000)
_OPUS_KBPS = (6, 256)
_MP3_LEAST_FRAME = 192  # bytes; LAME's header with delay and padding fits no smaller frame, and lengths go wrong


def encode(clip: Clip, format: str, bitrate_kbps: int | None = None, bit_depth: int = 16) -> bytes:
    """The bytes of a mono audio file.

    Args:
        format: one of `settings.FORMATS`. Opus at a rate it does not have is resampled to the next it has.
        bitrate_kbps: of MP3 (constant) and Opus, brought into what the codec has at this rate; None for
            `BITRATES_KBPS`.
        bit_depth: of WAV and FLAC; samples beyond full scale are clipped.

    Raises:
        UserError: the installed libsndfile cannot write the format.
    """
    if format == "opus":
        clip = resample(clip, next((r for r in _OPUS_RATES if r >= clip.sample_rate), _OPUS_RATES[-1]))
    if format in LOSSY:
        clip = clip.with_samples(clip.samples / np.float32(_codec_gain(format, clip.sample_rate)))
    return _encode(clip, format, bitrate_kbps, bit_depth)


@lru_cache(maxsize=16)
def _codec_gain(format: str, rate: int) -> float:
    """What encoding and decoding does to a level: libsndfile's MP3 comes out 0.45 dB down (LAME's default scale)."""
    tone = 0.1 * np.sin(2 * np.pi * 997 / rate * np.arange(rate))
    heard = decode(_encode(Clip(tone, rate), format, None, 16)).samples
    quarter = len(heard) // 4  # away from the edges
    return float(heard[quarter:-quarter].std() / tone.std())


def _encode(clip: Clip, format: str, bitrate_kbps: int | None, bit_depth: int) -> bytes:
    import soundfile

    kbps = bitrate_kbps or BITRATES_KBPS.get(format, 0)
    options = {
        "wav": lambda: {"format": "WAV", "subtype": f"PCM_{bit_depth}"},
        "flac": lambda: {"format": "FLAC", "subtype": f"PCM_{bit_depth}"},
        "mp3": lambda: {
            "format": "MP3",
            "subtype": "MPEG_LAYER_III",
            "bitrate_mode": "CONSTANT",
            "compression_level": _mp3_level(kbps, clip.sample_rate),
        },
        "opus": lambda: {"format": "OGG", "subtype": "OPUS", "compression_level": _level(kbps, *_OPUS_KBPS)},
    }[format]()
    if not soundfile.check_format(options["format"], options["subtype"]):
        raise UserError(
            f"libsndfile {soundfile.__libsndfile_version__} cannot write {format}", "audio.format", "choose flac"
        )
    blob = io.BytesIO()
    samples = clip.samples if format in LOSSY else _quantised(clip.samples, bit_depth)
    soundfile.write(blob, samples, clip.sample_rate, **options)
    return blob.getvalue()


def _quantised(samples: np.ndarray, bits: int) -> np.ndarray:
    """int32 `[n]` with the nearest `bits`-bit value on top; libsndfile itself rounds down, half a step of offset."""
    full = 2 ** (bits - 1)
    steps = np.clip(np.rint(samples.astype(np.float64) * full), -full, full - 1)
    return steps.astype(np.int32) << (32 - bits)


def decode(blob: bytes) -> Clip:
    """The clip in an audio file's bytes; several channels become their mean."""
    import soundfile

    samples, rate = soundfile.read(io.BytesIO(blob), dtype="float32", always_2d=True)
    return Clip(samples[:, 0] if samples.shape[1] == 1 else samples.mean(1), rate)


def _level(kbps: float, least: int, most: int) -> float:
    """libsndfile spreads its compression level, 0 to 1, evenly over a codec's bit rates, high to low."""
    return min(max((most - kbps) / (most - least), 0.0), 1.0)


def _mp3_level(kbps: float, rate: int) -> float:
    # MPEG 1, 2 and 2.5 by sample rate: bit rates and frame length.
    least, most, samples = (32, 320, 1152) if rate >= 32000 else (8, 160, 576) if rate >= 16000 else (8, 64, 576)
    return _level(max(kbps, _MP3_LEAST_FRAME * 8 * rate / samples / 1000), least, most)
