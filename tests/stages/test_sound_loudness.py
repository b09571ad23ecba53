"""Loudness, true peaks, the limiter and normalising, against meters of their own."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.signal import firwin, lfilter

from stages.sound.clip import Clip
from stages.sound.loudness import loudness, normalise
from stages.sound.peaks import limit, peaks, true_peak
from stages.sound.trim import fade
from tests.stages import meters
from tests.stages.meters import speech

RATES = [16000, 22050, 24000, 44100, 48000]


def tone(hz: float, seconds: float, rate: int, level_db: float = 0.0, phase: float = 0.0) -> Clip:
    at = np.arange(round(seconds * rate)) / rate
    return Clip(10 ** (level_db / 20) * np.sin(2 * np.pi * hz * at + phase), rate)


@pytest.mark.parametrize("rate", RATES)
def test_a_full_scale_997_hz_tone_is_minus_3_01_lufs(rate):
    assert loudness(tone(997, 5, rate)) == pytest.approx(-3.01, abs=0.035)
    assert loudness(tone(997, 5, rate, -20)) == pytest.approx(-23.01, abs=0.035)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_loudness_is_that_of_the_recommendation_spelled_out(rate, seed):
    samples = speech(3.77, rate, seed)
    samples[rate : 2 * rate] *= 0.01  # below the relative gate
    assert loudness(Clip(samples, rate)) == pytest.approx(meters.bs1770(samples, rate), abs=0.1)


@settings(max_examples=30, deadline=None)
@given(gain=st.floats(-30, 10), seed=st.integers(0, 9), seconds=st.floats(0.05, 2))
def test_a_gain_moves_loudness_by_itself(gain, seed, seconds):
    samples = speech(seconds, seed=seed)
    before, after = (loudness(Clip(s, 24000)) for s in (samples, samples * 10 ** (gain / 20)))
    assume(min(before, after) > -60)  # the gate at -70 LUFS takes blocks out
    assert after - before == pytest.approx(gain, abs=0.01)


def test_a_clip_shorter_than_a_gating_block_is_as_loud_as_a_long_one_of_the_same_sound():
    whole = loudness(tone(500, 3, 24000, -12))
    for seconds in (0.05, 0.1, 0.2, 0.39, 0.41):
        assert loudness(tone(500, seconds, 24000, -12)) == pytest.approx(whole, abs=0.3)


def test_silence_has_no_loudness():
    for n in (0, 1, 100, 24000):
        assert loudness(Clip(np.zeros(n), 24000)) == -math.inf
    with pytest.raises(ValueError, match="silence"):
        normalise(Clip(np.zeros(24000), 24000))


@pytest.mark.parametrize("rate", RATES)
def test_a_peak_between_samples_is_found(rate):
    # At a quarter of the rate and 45° all samples are at -3 dB of the curve's peak (EBU Tech 3341, test 16).
    clip = fade(tone(rate / 4, 0.5, rate, -6, math.pi / 4), 0.1, 0.1)
    assert 20 * math.log10(clip.peak) == pytest.approx(-9.01, abs=0.02)
    assert true_peak(clip) == pytest.approx(-6, abs=0.2)


def test_peaks_lie_where_they_are():
    samples = np.zeros(1000, np.float32)
    samples[[3, 500, 996]] = 0.5, -0.9, 0.3
    found = peaks(Clip(samples, 24000))
    assert len(found) == 1000
    assert found[[3, 500, 996]] == pytest.approx([0.5, 0.9, 0.3], rel=0.01)
    assert found[480:490].max() < 0.2
    assert (found >= np.abs(samples)).all()


def banded(seed: int, rate: int, seconds: float, bursts: int) -> np.ndarray:
    """Noise up to 0.8 of the band with sudden bursts: unkind to a limiter.

    It dies away at its end: cut off there it would not be band-limited, and every meter would see another peak.
    """
    rng = np.random.default_rng(seed)
    n = round(seconds * rate)
    samples = rng.standard_normal(n) * 0.05
    for at in rng.integers(0, n, bursts):
        samples[at : at + rng.integers(1, 800)] *= rng.uniform(2, 60)
    return lfilter(firwin(101, 0.8), 1, np.pad(samples, (0, 100))).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rate=st.sampled_from(RATES),
    seconds=st.floats(0.02, 1.5),
    bursts=st.integers(0, 12),
    ceiling=st.floats(-12, -0.1),
)
def test_the_limiter_holds_the_ceiling_and_touches_nothing_else(seed, rate, seconds, bursts, ceiling):
    clip = Clip(banded(seed, rate, seconds, bursts), rate)
    limited = limit(clip, ceiling)
    assert len(limited.samples) == len(clip.samples)
    assert true_peak(limited) <= ceiling + 1e-3
    assert meters.true_peak(limited.samples) <= ceiling + 0.15
    assert (np.abs(limited.samples) <= np.abs(clip.samples) + 1e-6).all()
    assert (limited.samples * clip.samples >= 0).all()
    if true_peak(clip) <= ceiling:
        assert limited is clip
    far = np.ones(len(clip.samples), bool)  # where no peak is near, nothing changes
    reach = round(0.02 * rate)
    for at in np.flatnonzero(peaks(clip) > 10 ** (ceiling / 20) * 0.9):
        far[max(0, at - reach) : at + reach] = False
    assert np.allclose(limited.samples[far], clip.samples[far], rtol=1e-3, atol=1e-6)


def test_the_limiters_gain_moves_smoothly():
    samples = speech(1.0, level=0.5)
    samples[12000] = 3.0
    limited = limit(Clip(samples, 24000), -1).samples
    gain = limited / np.where(samples == 0, 1, samples)
    assert gain[12000] < 0.32
    assert np.abs(np.diff(gain)).max() < 0.02


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 100),
    level=st.floats(0.01, 1.0),
    seconds=st.floats(0.3, 3),
    target=st.sampled_from([-23.0, -18.0, -16.0, -14.0]),
)
def test_speech_reaches_the_target_under_the_ceiling(seed, level, seconds, target):
    clip, gain = normalise(Clip(speech(seconds, seed=seed, level=level), 24000), target, -1.0)
    assert loudness(clip) == pytest.approx(target, abs=0.3)
    assert true_peak(clip) <= -1.0
    if seconds > 0.5:
        assert meters.bs1770(clip.samples, 24000) == pytest.approx(target, abs=0.4)


def test_loudness_that_limiting_takes_is_made_up():
    samples = speech(3, level=0.1)
    samples[::4000] = 0.2  # clicks far above the speech
    clip, gain = normalise(Clip(samples, 24000), -18, -1)
    assert true_peak(clip) <= -1
    assert gain > -18 - loudness(Clip(samples, 24000)) + 0.1
    assert loudness(clip) == pytest.approx(-18, abs=0.3)


def test_a_take_that_is_all_peaks_stays_quieter_rather_than_being_crushed():
    samples = np.zeros(48000, np.float32)
    samples[::6000] = 0.5
    clip, _ = normalise(Clip(samples, 24000), -18, -1, max_limiting_db=6)
    assert loudness(clip) < -20
    assert -3 < true_peak(clip) <= -1
