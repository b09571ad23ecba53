"""Reference clips: which are refused and why; what is made of a good one, once."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import torch

from engine.errors import UserError
from stages.tts.chatterbox.checkpoint import locate
from stages.tts.chatterbox.voices import BUILT_IN, Conditioner, VoiceStore, check_clip, load_voice
from tests.chatterbox.s3gen_weights import speech_like, write_clip, write_voice


def clip_of(tmp_path, samples, rate=24_000):
    path = tmp_path / "clip.wav"
    soundfile.write(path, samples, rate, subtype="FLOAT")
    return path


def refused(path, variant="original") -> str:
    with pytest.raises(UserError) as e:
        check_clip(path, variant)
    assert str(path) in str(e.value)
    return e.value.problem


def test_a_good_clip_is_named_by_its_content(tmp_path):
    clip = check_clip(write_clip(tmp_path / "a.wav"))
    assert clip.seconds == pytest.approx(6.5, abs=0.01)
    assert check_clip(write_clip(tmp_path / "b.wav")).digest == clip.digest
    assert check_clip(write_clip(tmp_path / "c.wav", pitch=200.0)).digest != clip.digest


@pytest.mark.parametrize(("seconds", "variant", "fine"), [
    (2.9, "original", False), (3.2, "original", True), (4.9, "turbo", False), (5.0, "turbo", False),
    (5.1, "turbo", True),
])  # fmt: skip
def test_clips_must_be_long_enough_for_the_variant(tmp_path, seconds, variant, fine):
    path = write_clip(tmp_path / "clip.wav", seconds)
    if fine:
        assert check_clip(path, variant).seconds == pytest.approx(seconds, abs=0.01)
    else:
        assert "too short" in refused(path, variant) and f"{seconds:.1f} s" in refused(path, variant)


def test_silence_is_refused(tmp_path):
    assert "silent" in refused(clip_of(tmp_path, np.zeros(24_000 * 8, np.float32)))
    hiss = np.random.default_rng(0).normal(0, 1e-4, 24_000 * 8).astype(np.float32)
    assert "silent" in refused(clip_of(tmp_path, hiss))


def test_mostly_silence_is_refused(tmp_path):
    samples = np.concatenate([speech_like(1.5), np.zeros(24_000 * 8, np.float32)])
    assert "silent but for" in refused(clip_of(tmp_path, samples))


def test_a_clipped_clip_is_refused_and_a_loud_one_is_not(tmp_path):
    loud = speech_like(6.5, peak=1.0)
    assert check_clip(clip_of(tmp_path, loud))
    assert "clipped" in refused(clip_of(tmp_path, np.clip(3 * loud, -1, 1)))
    assert "clipped" in refused(clip_of(tmp_path, 0.9 * np.clip(3 * loud, -1, 1)))  # turned down afterwards
    one_side = np.stack([loud, np.clip(3 * loud, -1, 1)], axis=1)
    assert "clipped" in refused(clip_of(tmp_path, one_side))


def test_what_is_not_audio_is_refused(tmp_path):
    path = tmp_path / "clip.wav"
    path.write_bytes(b"RIFF and then nothing much")
    assert "not audio" in refused(path)
    assert "no such" in refused(tmp_path / "none.wav")
    assert "no numbers" in refused(clip_of(tmp_path, np.full(24_000 * 8, np.nan, np.float32)))


@pytest.fixture(scope="module")
def checkpoint(turbo_folder):
    """Turbo's, S3Gen at full size."""
    return locate("turbo", str(turbo_folder))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Where hashes and voices are kept."""
    return tmp_path_factory.mktemp("cache")


def test_a_voice_is_what_upstream_makes_of_the_clip(checkpoint, tmp_path):
    """Stereo, 44.1 kHz and longer than S3Gen's ten seconds."""
    from chatterbox.models.s3gen import S3Gen
    from chatterbox.models.voice_encoder import VoiceEncoder
    from chatterbox.tts_turbo import ChatterboxTurboTTS
    from safetensors.torch import load_file

    clip = tmp_path / "clip.wav"
    mono = speech_like(11.3, 44_100)
    soundfile.write(clip, np.stack([mono, 0.5 * mono], axis=1), 44_100)

    s3gen, encoder = S3Gen(meanflow=True), VoiceEncoder()
    s3gen.load_state_dict(load_file(checkpoint.s3gen))
    encoder.load_state_dict(load_file(checkpoint.voice_encoder))

    class T3:  # upstream asks its T3 for one number here
        class hp:
            speech_cond_prompt_len = 375

    upstream = ChatterboxTurboTTS(T3, s3gen.eval(), encoder.eval(), None, "cpu")
    # What upstream means to do: its own loudness step, in the type it had before numpy 2.
    level = upstream.norm_loudness
    upstream.norm_loudness = lambda wave, rate: level(wave, rate).astype(np.float32)
    with torch.inference_mode():
        upstream.prepare_conditionals(clip)

    voice = Conditioner(checkpoint).voice(clip)
    wanted = upstream.conds.t3.__dict__
    for name, value in voice["t3"].items():
        if name == "emotion_adv":
            continue  # the request's business
        assert (value is None) == (wanted[name] is None), name
        assert value is None or torch.allclose(value.float(), wanted[name].float(), atol=1e-5), name
    for name, value in voice["gen"].items():
        if value is None:
            continue
        made, meant = value.float(), upstream.conds.gen[name].float()
        if name == "prompt_feat":  # logarithms: the faintest bins are rounding
            made, meant = made.exp(), meant.exp()
        assert made.shape == meant.shape and torch.allclose(made, meant, atol=1e-4), name
    assert voice["gen"]["prompt_feat"].shape[1] == 500 and voice["t3"]["cond_prompt_speech_tokens"].shape == (1, 283)


def test_a_clip_is_conditioned_once_and_kept_whole(checkpoint, cache, tmp_path):
    store = VoiceStore(checkpoint, cache, prompt_seconds=2.0)
    clip = check_clip(write_clip(tmp_path / "dj.wav", 5.5), "turbo")
    store.ensure([clip], built_in=True)
    made = store.path(clip.digest)
    assert sorted(p.name for p in store.folder.iterdir()) == sorted([made.name, f"{BUILT_IN}.pt"])
    voice = load_voice(made)
    assert voice["gen"]["prompt_token"].shape == (1, 50) and voice["gen"]["prompt_feat"].shape == (1, 100, 80)
    assert store.path(BUILT_IN).read_bytes() == checkpoint.built_in_voice.read_bytes()

    before = made.stat().st_mtime_ns
    store.ensure([clip], built_in=True)
    assert made.stat().st_mtime_ns == before
    # Upstream reads our files.
    from chatterbox.tts_turbo import Conditionals

    assert Conditionals.load(made).gen["embedding"].shape == (1, 192)


def test_another_prompt_length_has_files_of_its_own(checkpoint, cache):
    assert VoiceStore(checkpoint, cache, 4.0).folder != VoiceStore(checkpoint, cache, 10.0).folder


def test_no_voice_of_their_own_is_said(checkpoint, cache):
    import dataclasses

    bare = dataclasses.replace(checkpoint, built_in_voice=None)
    with pytest.raises(UserError, match="without a voice of their own"):
        VoiceStore(bare, cache, 3.0).ensure([], built_in=True)


@pytest.mark.parametrize("content", [b"", b"nonsense", None])
def test_a_damaged_voice_file_is_said(tmp_path, content):
    path = tmp_path / "voice.pt"
    if content is None:
        torch.save({"t3": {}, "gen": {"prompt_token": torch.zeros(3)}}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(UserError, match="not a voice file"):
        load_voice(path)


class _Payload:
    def __reduce__(self):
        return eval, ("__import__('os').environ.__setitem__('VOICE_WAS_RUN', '1')",)


def test_a_voice_file_cannot_run_code(tmp_path):
    import os

    path = tmp_path / "voice.pt"
    torch.save({"t3": {}, "gen": _Payload()}, path)
    with pytest.raises(UserError, match="not a voice file"):
        load_voice(path)
    assert "VOICE_WAS_RUN" not in os.environ


def test_a_missing_voice_is_said(tmp_path):
    with pytest.raises(UserError, match="no such voice"):
        load_voice(tmp_path / "voice.pt")
    assert load_voice(write_voice(tmp_path / "voice.pt"))
