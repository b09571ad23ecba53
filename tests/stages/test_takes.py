"""Takes checked against their text: real speech passes, the ways speech models go wrong do not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.sound.clip import Clip
from stages.takes import BLEMISHES, FATAL, Problem, TakeCheck, TakeLimits, best, check, words_spoken
from stages.tts import espeak_library

SCRIPTS = [
    "Good evening, night owls. Here is a song about water.",
    "Seven thirty in Port Amity. Kettle on, shoes by the door.",
    "Tonight: light rain, clearing later. High of fourteen, low of six.",
    "That was Harbour Lights by The Paper Boats, and the lamps along the quay are still burning.",
    "It's 9:00 AM, and if your bus is late, blame the gulls.",
    "Friends, pour yourself something warm. The next train doesn't leave until the record ends.",
    "From 1987, this is Tin Roof by Mara Vale. It starts slow, then the whole sky falls in.",
    "She wrote it in one night in a boarding house above the fish market, and you can hear the rain in every line.",
    "We walk down to the end of the pier, and down to the end of the night, and down to the sea.",
    "La la la la la.",
    "No, no, no.",
    "Over and over and over again.",
    "Rain.",
]
VOICES = ["gmw/en", "gmw/en-US+f3", "gmw/de"]


def spoken(text: str, voice: str = "gmw/en", rate: int = 165) -> Clip:
    pcm, sample_rate = espeak_library.speak(text, voice, {"rate": rate})
    return Clip(np.frombuffer(pcm, np.int16).astype(np.float32) / 32768, sample_rate)


def slugs(clip: Clip, text: str, **more) -> list[str]:
    return [p.slug for p in check(clip, text, **more).problems]


def glued(*clips: Clip) -> Clip:
    return clips[0].with_samples(np.concatenate([c.samples for c in clips]))


def noisy(clip: Clip) -> Clip:
    noise = np.random.default_rng(0).standard_normal(len(clip.samples)).astype(np.float32)
    return clip.with_samples(clip.samples + 0.002 * noise)


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize("rate", [110, 165, 190])
def test_real_speech_has_no_problem(voice, rate):
    for text in SCRIPTS:
        found = check(spoken(text, voice, rate), text)
        assert found.clean and found.usable, (text, found.problems)


def test_a_take_that_stops_early_is_too_short():
    long = SCRIPTS[7]
    clip = spoken(long)
    cut = clip.with_samples(clip.samples[: len(clip.samples) // 4])
    assert slugs(cut, long) == ["too_short"]


def test_a_take_that_says_far_more_is_too_long():
    assert "too_long" in slugs(spoken(" ".join(SCRIPTS[3:9])), SCRIPTS[0])


def test_the_pace_can_be_set():
    text = SCRIPTS[7]
    assert slugs(spoken(text), text, limits=TakeLimits(most_s_per_word=0.2, margin_s=0)) == ["too_long"]
    assert slugs(spoken(text), text, limits=TakeLimits(least_s_per_word=0.6, margin_s=0)) == ["too_short"]


def test_silence_is_told_from_quiet_speech():
    text = SCRIPTS[0]
    clip = spoken(text)
    assert slugs(clip.with_samples(clip.samples * 0), text) == ["silent"]
    assert slugs(clip.with_samples(clip.samples * 1e-4), text) == ["silent"]
    assert slugs(clip.with_samples(clip.samples * 0.05), text) == []
    assert slugs(clip.with_samples(clip.samples[:0]), text) == ["empty"]


def test_samples_that_are_no_numbers_are_found():
    clip = spoken(SCRIPTS[0])
    for value in (np.nan, np.inf):
        broken = clip.samples.copy()
        broken[1000] = value
        assert slugs(clip.with_samples(broken), SCRIPTS[0]) == ["non_finite"]


def test_clipping_is_a_blemish():
    clip = spoken(SCRIPTS[3])
    found = check(clip.with_samples(np.clip(clip.samples * 8, -1, 1)), SCRIPTS[3])
    assert [p.slug for p in found.problems] == ["clipped"] and found.usable and not found.clean


def test_a_long_silence_inside_is_a_blemish():
    clip = spoken(SCRIPTS[3])
    pause = clip.with_samples(np.zeros(clip.sample_rate * 3))
    first, last = (clip.with_samples(s) for s in np.array_split(clip.samples, 2))
    assert slugs(glued(first, pause, last), SCRIPTS[3]) == ["long_pause"]
    assert slugs(glued(pause, clip, pause), SCRIPTS[3]) == []  # at the ends it is cut anyway


@pytest.mark.parametrize("text", [s for s in SCRIPTS[:8]])
@pytest.mark.parametrize("voice", VOICES)
def test_a_tail_said_again_is_found(text, voice):
    tail = " ".join(text.split()[-3:])
    again = [spoken(tail, voice, rate) for rate in (169, 161)]  # never quite the same
    found = check(noisy(glued(spoken(text, voice), *again)), text)
    assert "repeated_tail" in [p.slug for p in found.problems] and not found.usable


@pytest.mark.parametrize("seconds", [0.35, 0.6, 1.2])
def test_a_stuck_tail_and_a_drone_are_found(seconds):
    text = SCRIPTS[3]
    clip = spoken(text)
    heard = clip.samples[: np.flatnonzero(np.abs(clip.samples) > 0.02)[-1]]
    end = clip.with_samples(heard[-round(seconds * clip.sample_rate) :])
    assert "repeated_tail" in slugs(noisy(glued(clip.with_samples(heard), end, end)), text)
    hum = np.sin(2 * np.pi * 150 / clip.sample_rate * np.arange(2 * clip.sample_rate))
    assert "repeated_tail" in slugs(noisy(glued(clip, clip.with_samples(0.2 * hum))), text)


def test_repeats_the_script_asks_for_are_not_held_against_it():
    text = "Here it comes again, here it comes again, here it comes again."
    phrase = spoken("Here it comes again,")
    assert slugs(glued(phrase, phrase, phrase), text) == []
    assert "repeated_tail" in slugs(glued(phrase, phrase, phrase), "Here it comes again, once and for all, my friends.")
    assert slugs(glued(phrase, phrase, phrase), "Here it comes again.", limits=TakeLimits(repeats=False)) == []


def test_reaching_the_token_cap_is_fatal():
    found = check(spoken(SCRIPTS[0]), SCRIPTS[0], reached_token_cap=True)
    assert [p.slug for p in found.problems] == ["token_cap"] and not found.usable


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        ("Rain.", 1),
        ("It's ten o'clock", 3),
        ("It's 7:30 AM.", 4),
        ("From 1987, well-known", 5),
        ("Lantern 88.4", 3),
        ("[laugh] Oh dear [cough]", 2),
        ("— … !", 0),
        ("今日はいい天気です", 5),
        ("Łódź, ça va? Straße", 4),
    ],
)
def test_words_are_counted_as_they_are_spoken(text, words):
    assert words_spoken(text) == words


def found(attempt: int, seconds: float, *slugs: str) -> TakeCheck:
    return TakeCheck(attempt, seconds, 5.0, tuple(Problem(s, s) for s in slugs))


def test_the_best_take_is_clean_then_well_paced_then_first():
    assert best([]) is None
    assert best([found(1, 5, "silent"), found(2, 5, "clipped", "repeated_tail")]) is None
    assert best([found(1, 5, "clipped"), found(2, 9)]).attempt == 2
    assert best([found(1, 9), found(2, 5.5), found(3, 4.0)]).attempt == 2
    assert best([found(2, 5), found(1, 5)]).attempt == 1
    assert best([found(1, 10), found(2, 2.4)]).attempt == 1  # twice as long is nearer than less than half


@given(
    st.lists(
        st.builds(
            found,
            st.integers(1, 9),
            st.floats(0, 60),
            st.sampled_from(sorted(FATAL | BLEMISHES)),
        )
    )
)
def test_a_fatal_take_is_never_the_best(takes):
    chosen = best(takes)
    assert (chosen is None) == all(p.slug in FATAL for t in takes for p in t.problems)
    assert chosen is None or chosen.usable


def test_a_problem_is_a_plain_record():
    [problem] = check(spoken(SCRIPTS[7]), "Rain.").problems
    assert problem.to_dict()["slug"] == "too_long" and "1 words" in problem.to_dict()["message"]
