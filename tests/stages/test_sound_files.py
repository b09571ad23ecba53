"""Encoding, tags, file names and the chain as a whole, checked by other tools on real files."""

from __future__ import annotations

import math
import threading

import mutagen
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import RowError, UserError
from stages.sound.clip import Clip
from stages.sound.disk import save
from stages.sound.encode import decode, encode
from stages.sound.loudness import loudness
from stages.sound.master import master, write
from stages.sound.naming import file_name
from stages.sound.settings import FORMATS, RATES, SoundSettings
from stages.sound.tags import Tags, tag
from stages.tts import espeak_library
from tests.stages.meters import ffmpeg_loudness, ffprobe, needs_ffmpeg, speech

TAGS = Tags("Marlow Finch", "Tin Roof by Mara Vale", "Lantern 88.4", "marlow/intro/tin-roof")
SCRIPTS = {
    "long": "Good evening, night owls. From nineteen eighty seven, here is a song about water and the lamps along the "
    "quay. Stay with us until the tide is out again.",
    "short": "Seven thirty in Port Amity. Kettle on!",
    "one word": "Rain.",
}


def spoken(text: str, voice: str = "gmw/en", **parameters: int) -> Clip:
    pcm, rate = espeak_library.speak(text, voice, {"rate": 165} | parameters)
    return Clip(np.frombuffer(pcm, np.int16).astype(np.float32) / 32768, rate)


# --- encoding -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("rate", RATES)
def test_a_file_plays_back_in_time_and_at_its_level(format, rate):
    clip = Clip(speech(1.7, rate, level=0.5), rate)
    heard = decode(encode(clip, format))
    assert heard.duration_s == pytest.approx(clip.duration_s, abs=2 / rate)
    assert heard.sample_rate == rate or format == "opus"
    assert loudness(heard) == pytest.approx(loudness(clip), abs=0.3 if rate >= 16000 else 0.6)
    if heard.sample_rate == rate:
        assert np.corrcoef(heard.samples, clip.samples)[0, 1] > 0.95


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("kbps", [8, 32, 64, 128, 320])
@pytest.mark.parametrize("format", ["mp3", "opus"])
def test_any_bit_rate_keeps_the_length(format, kbps, rate):
    clip = Clip(speech(1.0, rate), rate)
    assert decode(encode(clip, format, kbps)).duration_s == pytest.approx(1.0, abs=2 / rate)


def test_bit_rates_are_about_what_was_asked_for():
    clip = Clip(speech(10.0, 24000), 24000)
    for format, kbps in (("mp3", 64), ("mp3", 128), ("opus", 32), ("opus", 96)):
        assert len(encode(clip, format, kbps)) * 8 / 10_000 == pytest.approx(kbps, rel=0.25)


def test_bit_depth_and_opus_rates():
    clip = Clip(speech(0.5, 44100), 44100)
    assert decode(encode(clip, "opus")).sample_rate == 48000
    for depth in (16, 24):
        for format in ("wav", "flac"):
            error = decode(encode(clip, format, bit_depth=depth)).samples - clip.samples
            assert np.abs(error).max() <= 0.51 / 2 ** (depth - 1) + 1e-7


# --- onto the disk --------------------------------------------------------------------------------------------------


def test_a_reader_never_sees_half_a_file(tmp_path):
    path = tmp_path / "a" / "b" / "take.flac"
    old, new = (bytes([n]) * 2_000_000 for n in (1, 2))
    save(path, old)
    stop, seen = threading.Event(), set()

    def read():
        while not stop.is_set():
            blob = path.read_bytes()
            seen.add((len(blob), blob[0], blob[-1]))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(10):
        save(path, new)
        save(path, old)
    stop.set()
    reader.join()
    assert seen <= {(2_000_000, 1, 1), (2_000_000, 2, 2)}
    assert [p.name for p in path.parent.iterdir()] == ["take.flac"]


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    (tmp_path / "take.flac" / "in the way").mkdir(parents=True)
    with pytest.raises(OSError):
        save(tmp_path / "take.flac", b"sound")
    assert [p.name for p in tmp_path.iterdir()] == ["take.flac"]


def test_files_are_readable_by_others_as_the_umask_has_it(tmp_path):
    plain = tmp_path / "plain"
    plain.touch()
    save(tmp_path / "take.flac", b"sound")
    assert (tmp_path / "take.flac").stat().st_mode == plain.stat().st_mode


# --- tags -----------------------------------------------------------------------------------------------------------

HOSTILE = Tags(
    'DJ "Quote" <b>&amp;</b>', "Line\nbreak\x00 and\ttab \u202eright to left\u202c 🌊", "Łódź \ud800 88.4", "k/ey='1'"
)


def read_tags(path) -> dict[str, str]:
    names = {"TPE1": "artist", "TIT2": "title", "TALB": "album", "TCON": "genre", "COMM": "comment"}
    found = mutagen.File(path).tags
    return {names.get(name.split(":")[0], name.lower()): str(value[0]) for name, value in dict(found).items()}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("tags", [TAGS, HOSTILE], ids=["plain", "hostile"])
def test_tags_are_read_back_by_mutagen(format, tags, tmp_path):
    clip = Clip(speech(0.6), 24000)
    path = tmp_path / f"take.{format}"
    path.write_bytes(tag(encode(clip, format), format, tags))
    expected = {
        "artist": tags.artist,
        "title": "Line break and tab \u202eright to left\u202c 🌊" if tags is HOSTILE else tags.title,
        "album": "Łódź ? 88.4" if tags is HOSTILE else tags.album,
        "genre": "Speech",
        "comment": tags.comment,
    }
    assert read_tags(path) == expected
    assert decode(path.read_bytes()).duration_s == pytest.approx(0.6, abs=0.001)


@needs_ffmpeg
@pytest.mark.parametrize("format", FORMATS)
def test_tags_are_read_by_ffprobe(format, tmp_path):
    path = tmp_path / f"take.{format}"
    path.write_bytes(tag(encode(Clip(speech(0.6), 24000), format), format, TAGS))
    found = ffprobe(path)
    assert {n: found["tags"][n] for n in ("artist", "title", "album", "genre", "comment")} == TAGS.clean()
    assert float(found["format"]["duration"]) == pytest.approx(0.6, abs=0.08)
    codec = {"wav": "pcm_s16le"}.get(format, format)
    assert found["streams"][0]["codec_name"] == codec and found["streams"][0]["channels"] == 1


def test_tagging_again_replaces(tmp_path):
    for format in FORMATS:
        blob = tag(tag(encode(Clip(speech(0.3), 24000), format), format, HOSTILE), format, TAGS)
        path = tmp_path / f"take.{format}"
        path.write_bytes(blob)
        assert read_tags(path)["title"] == TAGS.title and len(read_tags(path)) == 5


# --- the chain ------------------------------------------------------------------------------------------------------


@needs_ffmpeg
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_finished_take_is_at_its_target_by_ffmpegs_meter(format, script, tmp_path):
    wanted = SoundSettings(format=format)
    path = tmp_path / f"take.{format}"
    figures = write(path, master(spoken(SCRIPTS[script]), wanted), wanted, TAGS)
    lufs, peak = ffmpeg_loudness(path)
    assert peak <= -1.0 + 0.05  # ffmpeg shows tenths
    assert figures.true_peak_dbtp <= -1.0 and figures.true_peak_dbtp == pytest.approx(peak, abs=0.15)
    if script != "one word":  # shorter than ffmpeg measures
        assert lufs == pytest.approx(-18, abs=0.5) and figures.lufs == pytest.approx(lufs, abs=0.15)
    assert figures.lufs == pytest.approx(-18, abs=0.3)
    assert soundfile.info(path).duration == pytest.approx(figures.duration_s, abs=0.01)


@needs_ffmpeg
@pytest.mark.parametrize(("target", "ceiling", "rate"), [(-23, -3, 48000), (-14, -1, 44100), (-16, -2, 16000)])
@pytest.mark.parametrize("format", ["flac", "mp3", "opus"])
def test_other_targets_rates_and_formats(format, target, ceiling, rate, tmp_path):
    wanted = SoundSettings(format=format, target_lufs=target, ceiling_dbtp=ceiling, sample_rate=rate, bitrate_kbps=48)
    path = tmp_path / f"take.{format}"
    figures = write(path, master(spoken(SCRIPTS["long"]), wanted), wanted, TAGS)
    lufs, peak = ffmpeg_loudness(path)
    assert lufs == pytest.approx(target, abs=0.5) and peak <= ceiling + 0.1
    assert figures.true_peak_dbtp <= ceiling
    assert soundfile.info(path).samplerate == (48000 if format == "opus" and rate == 44100 else rate)


def test_figures_say_what_was_done():
    clip = spoken(SCRIPTS["short"], volume=60)
    quiet = np.zeros(clip.sample_rate, np.float32)
    mastered = master(clip.with_samples(np.concatenate([quiet, clip.samples, quiet])), SoundSettings())
    figures = mastered.figures()
    assert figures.trimmed_head_s == pytest.approx(0.95, abs=0.1) and figures.trimmed_tail_s > 0.8
    assert figures.duration_s == pytest.approx(len(mastered.clip.samples) / 24000)
    assert figures.gain_db == pytest.approx(-18 - loudness(clip), abs=3)
    assert mastered.clip.samples[0] == 0 and mastered.clip.samples[-1] == 0
    assert set(figures.to_dict()) >= {"duration_s", "lufs", "true_peak_dbtp", "gain_db"}


@pytest.mark.parametrize(
    ("samples", "kind"),
    [(np.zeros(24000), "silent"), (np.zeros(0), "silent"), (np.full(24000, np.nan), "non_finite")],
)
def test_a_broken_take_is_an_error_and_no_file(samples, kind):
    with pytest.raises(RowError) as caught:
        master(Clip(samples, 24000), SoundSettings())
    assert caught.value.kind == kind


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 999),
    seconds=st.floats(0.1, 1.5),
    level=st.floats(0.02, 1),
    rate=st.sampled_from([16000, 22050, 24000]),
)
def test_any_take_ends_at_or_under_target_and_ceiling(seed, seconds, level, rate):
    figures = master(Clip(speech(seconds, rate, seed, level), rate), SoundSettings()).figures()
    assert figures.true_peak_dbtp <= -1 and math.isfinite(figures.lufs)
    assert figures.lufs == pytest.approx(-18, abs=0.3)


def test_wrong_settings_are_named_together():
    with pytest.raises(UserError) as caught:
        SoundSettings(format="aac", sample_rate=12345, ceiling_dbtp=1).check()
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines] == ["audio.format", "audio.sample_rate", "audio.ceiling_dbtp"]
    SoundSettings().check()


# --- names ----------------------------------------------------------------------------------------------------------


def test_plain_keys_are_their_own_names():
    assert str(file_name("marlow/intro/tin-roof", "flac")) == "marlow/intro/tin-roof.flac"
    assert str(file_name("dot/time/07-30", "mp3")) == "dot/time/07-30.mp3"
    assert str(file_name("dot/time/07-30@2", "opus")) == "dot/time/07-30.2.opus"


HOSTILE_IDS = [
    "..", ".", "", " ", "../../etc/passwd", "/etc/passwd", "a\\b", "C:\\x", "CON", "con", "nul", "Aux", "com1", "LPT9",
    "COM¹", "a" * 300, "a" * 301, "A", "a", "Ａ", "а", "ä", "a\u0308", "\u202eabc", "a.", "a ", "a\x00b", "a\nb", "-rf",
    "a@2", "a@02", "a@2@3", "con@2", "@1", "a@b",
    "~", "*?<>|:\"", "🌊", "\ud800", "S01", "s01", "ſ01", "K", "\u212a", "x~0123456789abcdef", "a~b", ".hidden",
    "a.flac",
]  # fmt: skip


@pytest.mark.parametrize("part", HOSTILE_IDS)
def test_hostile_ids_stay_in_their_folder_and_are_legal_anywhere(part, tmp_path):
    name = file_name(f"dot/intro/{part}", "flac")
    assert_safe(name)
    path = tmp_path / name
    save(path, b"sound")
    assert path.resolve().is_relative_to(tmp_path / "dot" / "intro") and path.read_bytes() == b"sound"


def test_hostile_ids_never_share_a_file_on_a_case_insensitive_disk():
    names = [str(file_name(f"dot/intro/{part}", "flac")).lower() for part in HOSTILE_IDS]
    assert len(set(names)) == len(HOSTILE_IDS)
    assert file_name("A/b/c", "flac") != file_name("a/b/c", "flac")


@settings(max_examples=300)
@given(a=st.text(max_size=80), b=st.text(max_size=80))
def test_any_two_keys_have_two_safe_names(a, b):
    assert_safe(file_name(a, "opus"))
    if a != b:
        assert str(file_name(a, "opus")).lower() != str(file_name(b, "opus")).lower()
    assert file_name(a, "opus") == file_name(a, "opus")


def assert_safe(name) -> None:
    assert not name.is_absolute() and len(str(name)) < 220
    for part in name.parts:
        stem = part.split(".")[0]
        assert stem and len(part) <= 85 and set(part) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-~.")
        assert stem not in {"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(10))}
        assert not part.startswith((".", "-")) and not part.endswith(".")


@needs_ffmpeg
def test_meters_agree_on_speech(tmp_path):
    clip = spoken(SCRIPTS["long"])
    path = tmp_path / "raw.wav"
    save(path, encode(clip, "wav"))
    lufs, _ = ffmpeg_loudness(path)
    assert loudness(clip) == pytest.approx(lufs, abs=0.1)
