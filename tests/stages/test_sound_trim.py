"""Silence at the ends, and fades."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.sound.clip import Clip
from stages.sound.resample import resample
from stages.sound.trim import fade, trim
from tests.stages.meters import speech

RATE = 24000


def padded(head: float, tail: float, seconds: float = 1.0, noise: float = 0.0, rate: int = RATE) -> Clip:
    quiet = np.random.default_rng(1).standard_normal
    parts = [noise * quiet(round(head * rate)), speech(seconds, rate), noise * quiet(round(tail * rate))]
    return Clip(np.concatenate(parts), rate)


@pytest.mark.parametrize("noise", [0.0, 0.0003])
def test_silence_at_the_ends_goes_and_pads_stay(noise):
    clip, head, tail = trim(padded(0.8, 1.3, noise=noise), head_s=0.05, tail_s=0.15)
    assert clip.duration_s == pytest.approx(1.2, abs=0.02)
    assert head == pytest.approx(0.75, abs=0.01) and tail == pytest.approx(1.15, abs=0.01)


def test_pauses_inside_stay():
    samples = np.concatenate([speech(0.5), np.zeros(RATE), speech(0.5)])
    assert trim(Clip(samples, RATE))[0].duration_s == pytest.approx(2.0, abs=0.01)


def test_a_quiet_take_is_trimmed_like_a_loud_one():
    loud = padded(0.5, 0.5, noise=0.0002)
    quiet = loud.with_samples(loud.samples * 0.05)
    assert abs(trim(quiet)[0].duration_s - trim(loud)[0].duration_s) < 0.02


def test_silence_leaves_nothing():
    for samples in (np.zeros(RATE), 1e-5 * np.ones(RATE), np.zeros(0)):
        assert len(trim(Clip(samples, RATE))[0].samples) == 0


@settings(max_examples=60, deadline=None)
@given(
    head=st.floats(0, 1),
    tail=st.floats(0, 1),
    seconds=st.floats(0.05, 1),
    keep_head=st.floats(0, 0.3),
    keep_tail=st.floats(0, 0.3),
    rate=st.sampled_from([8000, 22050, 24000, 48000]),
)
def test_trim_cuts_only_silence_and_accounts_for_it(head, tail, seconds, keep_head, keep_tail, rate):
    clip = padded(head, tail, seconds, rate=rate)
    trimmed, cut_head, cut_tail = trim(clip, head_s=keep_head, tail_s=keep_tail)
    start = round(cut_head * rate)
    assert np.array_equal(trimmed.samples, clip.samples[start : start + len(trimmed.samples)])
    assert cut_head + trimmed.duration_s + cut_tail == pytest.approx(clip.duration_s)
    assert not clip.samples[:start].any() or np.abs(clip.samples[:start]).max() < 0.01
    assert trimmed.duration_s <= seconds + keep_head + keep_tail + 0.02
    again, more_head, more_tail = trim(trimmed, head_s=keep_head, tail_s=keep_tail)
    assert more_head + more_tail <= 0.011  # a frame at either end


@settings(max_examples=40, deadline=None)
@given(n=st.integers(0, 3000), up=st.floats(0, 0.2), down=st.floats(0, 0.2))
def test_fades_start_and_end_at_nothing_and_never_raise(n, up, down):
    clip = Clip(np.ones(n, np.float32), RATE)
    faded = fade(clip, up, down).samples
    assert len(faded) == n and (faded <= 1).all() and (faded >= 0).all()
    if n > 2 and up > 1e-3 and down > 1e-3:
        assert faded[0] == 0 and faded[-1] == 0
    assert clip.samples.all()  # the clip itself stays as it was


def test_a_clip_is_mono_float32():
    assert Clip(np.arange(3), RATE).samples.dtype == np.float32
    for samples, rate in ((np.zeros((2, 9)), RATE), (np.zeros(9), 0)):
        with pytest.raises(ValueError, match="mono"):
            Clip(samples, rate)


@pytest.mark.parametrize(("old", "new"), [(22050, 24000), (24000, 48000), (48000, 16000)])
def test_resampling_keeps_time_and_tone(old, new):
    at_old, at_new = np.arange(old) / old, np.arange(new) / new
    found = resample(Clip(np.sin(2 * np.pi * 440 * at_old), old), new)
    assert found.sample_rate == new and len(found.samples) == new
    inner = slice(new // 10, -new // 10)
    assert np.abs(found.samples[inner] - np.sin(2 * np.pi * 440 * at_new)[inner]).max() < 1e-3
    assert resample(found, new) is found
