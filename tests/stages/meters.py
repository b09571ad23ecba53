"""Meters that share nothing with the code under test: ffmpeg's ebur128, and BS.1770 spelled out."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import lfilter, resample, resample_poly

needs_ffmpeg = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")


def ffmpeg_loudness(path: Path) -> tuple[float, float]:
    """Integrated LUFS and true peak dBTP of a file, to a tenth, by ffmpeg's ebur128."""
    command = ["ffmpeg", "-nostdin", "-hide_banner", "-i", str(path), "-af", "ebur128=peak=true", "-f", "null", "-"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    summary = said[said.rindex("Summary:") :]
    return float(re.search(r"I:\s+(\S+) LUFS", summary)[1]), float(re.search(r"Peak:\s+(\S+) dBFS", summary)[1])


def ffprobe(path: Path) -> dict:
    """Format, streams and tags (names in lower case, of file and stream together) as ffprobe sees them."""
    command = ["ffprobe", "-v", "error", "-show_format", "-show_streams", "-of", "json", str(path)]
    found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    tags = found["streams"][0].get("tags", {}) | found["format"].get("tags", {})
    return found | {"tags": {name.lower(): value for name, value in tags.items()}}


def bs1770(samples: np.ndarray, rate: int) -> float:
    """Integrated LUFS, with the coefficients the recommendation prints for 48 kHz."""
    x = resample_poly(samples.astype(np.float64), 48000, rate)
    shelf = [1.53512485958697, -2.69169618940638, 1.19839281085285], [1.0, -1.69065929318241, 0.73248077421585]
    high_pass = [1.0, -2.0, 1.0], [1.0, -1.99004745483398, 0.99007225036621]
    x = lfilter(*high_pass, lfilter(*shelf, x))
    power = np.array([np.mean(x[at : at + 19200] ** 2) for at in range(0, len(x) - 19200 + 1, 4800)])
    loud = power[power > 10 ** ((-70 + 0.691) / 10)]
    loud = loud[loud > loud.mean() / 10]
    return -0.691 + 10 * np.log10(loud.mean())


def true_peak(samples: np.ndarray, times: int = 16) -> float:
    """Largest value in dB of the band-limited curve through `samples`, by zero-padding the spectrum."""
    padded = np.pad(samples.astype(np.float64), 256)
    return 20 * np.log10(np.abs(resample(padded, len(padded) * times)).max())


def speech(seconds: float, rate: int = 24000, seed: int = 0, level: float = 0.2) -> np.ndarray:
    """float32 `[n]`: noise with the slope and the syllables of speech, silence nowhere."""
    rng = np.random.default_rng(seed)
    n = round(seconds * rate)
    noise = lfilter([1.0], [1.0, -0.9], rng.standard_normal(n))
    at = np.arange(n) / rate
    syllables = 0.15 + np.abs(np.sin(2 * np.pi * 2.1 * at + seed)) * (0.6 + 0.4 * np.sin(2 * np.pi * 0.37 * at))
    return (level * noise / np.abs(noise).max() * syllables).astype(np.float32)
