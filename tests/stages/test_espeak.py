"""The embedded synthesizer, driven for real."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from engine.errors import UserError
from engine.records import Request
from stages.tts.espeak import EspeakSpec

SCRIPT = "Good evening, night owls. Here is a song about water, and the lamps along the quay."


def speak(*texts: str, **settings) -> list:
    spec = EspeakSpec()
    voice = spec.voice_for(settings)
    with spec.open() as backend:
        groups = list(backend.steps(Request(f"k{i}", {"text": t, "voice": voice}) for i, t in enumerate(texts)))
    return [output for group in groups for output in group]


def samples(text: str, **settings) -> np.ndarray:
    [output] = speak(text, **settings)
    assert output.error is None
    return output.value["samples"]


def seconds(text: str, **settings) -> float:
    [output] = speak(text, **settings)
    return len(output.value["samples"]) / output.value["sample_rate"]


def test_a_script_is_spoken_at_a_speaking_pace():
    [output] = speak(SCRIPT)
    wave, rate = output.value["samples"], output.value["sample_rate"]
    assert output.key == "k0" and output.error is None
    assert wave.dtype == np.float32 and wave.ndim == 1
    assert 0.2 * len(SCRIPT.split()) <= len(wave) / rate <= 1.2 * len(SCRIPT.split())
    assert 0.1 < np.abs(wave).max() <= 1.0
    assert output.usage["audio_seconds"] == pytest.approx(len(wave) / rate)


def test_a_take_does_not_depend_on_those_before_it():
    alone = samples(SCRIPT)
    after_others = speak("Something else entirely.", "And more of it!", SCRIPT, SCRIPT)
    assert np.array_equal(alone, after_others[2].value["samples"])
    assert np.array_equal(alone, after_others[3].value["samples"])


def test_a_breathy_voice_says_the_same_at_any_time_of_day():
    voice = {"voice": "en-us+f2"}
    before = samples(SCRIPT, **voice)
    time.sleep(1.1)  # the library reads the clock in seconds
    assert np.array_equal(before, samples(SCRIPT, **voice))


def test_two_open_backends_and_many_threads_do_not_disturb_each_other():
    scripts = [f"This is script number {n}, and it goes on for a little while." for n in range(12)]
    expected = [samples(s) for s in scripts]
    spec = EspeakSpec(batch=1)
    with spec.open() as one, spec.open() as other, ThreadPoolExecutor(4) as pool:

        def run(n: int) -> np.ndarray:
            backend = one if n % 2 else other
            [[output]] = list(backend.steps([Request("k", {"text": scripts[n], "voice": spec.voice_for()})]))
            return output.value["samples"]

        found = list(pool.map(run, range(12)))
    assert all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))


def test_a_backend_can_be_opened_again():
    spec = EspeakSpec()
    for _ in range(2):
        with spec.open() as backend:
            [[output]] = list(backend.steps([Request("k", {"text": SCRIPT, "voice": spec.voice_for()})]))
            assert output.error is None
        assert backend.stats.extra["audio_seconds"] > 3


def test_mark_up_in_a_script_is_spoken_not_obeyed():
    assert seconds("<speak>hello</speak>") > 1.5 * seconds("hello")
    assert not np.array_equal(samples("[[h@loU]]"), samples("hello"))
    assert np.array_equal(samples("lamps \x0199P lamps"), samples("lamps  99P lamps"))  # an embedded pitch command
    assert np.array_equal(samples("lamps\x00 and trains"), samples("lamps  and trains"))


def test_a_long_script_is_spoken_to_its_end():
    sentence = "The train along the harbour leaves at seven and nobody on it is in a hurry. "
    once, many = seconds(sentence), seconds(sentence * 60)
    assert many == pytest.approx(60 * once, rel=0.1)


def test_text_is_utf_8():
    # Read as Latin-1, "ü" would be two letters and the word spelled out.
    assert seconds("Füße", voice="de") < 1.3 * seconds("Fuße", voice="de")
    assert not np.array_equal(samples("schön", voice="de"), samples("schon", voice="de"))


def test_settings_are_heard():
    assert seconds(SCRIPT, rate=250) < 0.75 * seconds(SCRIPT, rate=150)
    assert np.abs(samples(SCRIPT, volume=40)).max() < 0.6 * np.abs(samples(SCRIPT, volume=100)).max()
    assert pitch(samples(SCRIPT, pitch=80)) > 1.2 * pitch(samples(SCRIPT, pitch=20))
    assert pitch(samples(SCRIPT, voice="en-gb+f3")) > 1.2 * pitch(samples(SCRIPT, voice="en-gb+m3"))
    assert seconds(SCRIPT, word_gap=20) > 1.2 * seconds(SCRIPT)


def pitch(wave: np.ndarray, rate: int = 22050) -> float:
    """Median over voiced frames of the strongest autocorrelation lag from 60 to 400 Hz."""
    frames = np.lib.stride_tricks.sliding_window_view(wave, 1024)[::512]
    frames = frames[np.square(frames).mean(1) > 0.1 * np.square(frames).mean(1).max()]
    spectra = np.abs(np.fft.rfft(frames, 2048)) ** 2
    lags = np.fft.irfft(spectra)[:, rate // 400 : rate // 60]
    return float(np.median(rate / (lags.argmax(1) + rate // 400)))


def test_an_empty_script_is_an_error_and_its_neighbours_are_spoken():
    first, empty, blank, last = speak(SCRIPT, "", " … — ! ", SCRIPT)
    assert [o.error["kind"] for o in (empty, blank)] == ["empty_script", "empty_script"]
    assert first.error is None and last.error is None and empty.value is None


def test_a_voice_without_a_dictionary_is_an_error_not_a_silence():
    [output] = speak(SCRIPT, voice="fo")
    assert output.error["kind"] == "no_audio" and "'fo'" in output.error["message"]


def test_outputs_come_in_small_groups_and_requests_are_drawn_as_needed():
    drawn = []

    def requests():
        for n in range(20):
            drawn.append(n)
            yield Request(f"k{n}", {"text": "Lamps.", "voice": voice})

    spec = EspeakSpec(batch=8)
    voice = spec.voice_for()
    with spec.open() as backend:
        steps = backend.steps(requests())
        assert len(next(steps)) == 8 and len(drawn) == 8
        assert [len(group) for group in steps] == [8, 4]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"voice": "en-gbb"}, "did you mean en-gb?"),
        ({"voice": "en-gb+wisper"}, "did you mean en-gb+whisper?"),
        ({"voice": "qqqqqqqq"}, "give a language"),
        ({"rate": 1000}, "80 to 450"),
        ({"pitch": "high"}, "0 to 99"),
        ({"rte": 150}, "did you mean rate?"),
    ],
)
def test_a_wrong_setting_says_where_and_what_is_right(settings, expected):
    with pytest.raises(UserError, match="^djs/dot/dj.yaml: ") as caught:
        EspeakSpec().voice_for(settings, "djs/dot/dj.yaml")
    assert expected in str(caught.value)


def test_an_unknown_voice_in_a_request_is_the_users_error():
    with EspeakSpec().open() as backend, pytest.raises(UserError, match="did you mean en-us"):
        list(backend.steps([Request("dot/intro/s01", {"text": "Hello.", "voice": {"voice": "en-uss"}})]))


@pytest.mark.parametrize(
    ("language", "voice"), [(None, "en-gb"), ("en", "en-gb"), ("EN-GB", "en-gb"), ("en-us", "en-us"), ("de", "de")]
)
def test_a_djs_language_picks_the_voice_where_the_dj_names_none(language, voice):
    assert EspeakSpec().voice_for({}, language=language)["voice"] == voice
    assert EspeakSpec().voice_for({"voice": "fr"}, language=language)["voice"] == "fr"


def test_voice_for_is_complete_so_that_the_payload_decides_the_take():
    voice = EspeakSpec(rate=140).voice_for({"pitch": 30})
    assert voice == {"voice": "en-gb", "rate": 140, "pitch": 30, "range": 50, "volume": 100, "word_gap": 0}


def test_identity_names_version_and_data():
    assert EspeakSpec(rate=100).identity() == EspeakSpec().identity()
    assert EspeakSpec().identity()["synthesizer"].startswith("espeak-ng 1.")


def test_planning_loads_nothing_heavy():
    code = (
        "import sys; from stages.tts.espeak import EspeakSpec; s = EspeakSpec(); s.voice_for({}); s.identity();"
        "print([m for m in ('numpy', 'scipy', 'torch', 'soundfile') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
