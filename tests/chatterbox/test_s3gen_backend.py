"""The S3Gen backend: takes in, samples out, whatever is wrong with some of them."""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest
import torch

from engine.backend import Backend
from engine.errors import EngineError, UserError
from engine.records import Request
from stages.tts.chatterbox.s3gen import Vocoder
from stages.tts.chatterbox.s3gen_backend import WINDOW, S3GenSpec
from stages.tts.chatterbox.s3gen_takes import chunk_seed, join
from stages.tts.chatterbox.watermark import Watermark
from tests.chatterbox.s3gen_weights import random_tokens, write_voice

RATE = 24_000


@pytest.fixture(scope="module")
def spec(turbo_folder, t3_cache, tmp_path_factory):
    """Turbo with one Euler step and small batches; two voices, and one whose numbers are none."""
    voices = tmp_path_factory.mktemp("voices")
    write_voice(voices / "a.pt", 1, prompt=12, frames=25)
    write_voice(voices / "b.pt", 2, prompt=30, frames=60)
    broken = torch.load(write_voice(voices / "nan.pt", 3, prompt=12, frames=24), weights_only=True)
    broken["gen"]["embedding"][0, 5] = float("nan")
    torch.save(broken, voices / "nan.pt")
    return S3GenSpec(str(turbo_folder), "turbo", str(voices), str(t3_cache), frames=400, steps=1, device="cpu")


@pytest.fixture(scope="module")
def backend(spec):
    """Opened once; without the watermark, which changes every sample."""
    with dataclasses.replace(spec, watermark=False).open() as backend:
        yield backend


def take(key: str, *lengths: int, voice: str = "a", seed: int = 7, pause: int = 0) -> Request:
    chunks = [{"tokens": random_tokens(n, seed + n).tolist(), "pause_ms": pause} for n in lengths]
    return Request(key, {"chunks": chunks, "voice": voice, "seed": seed})


def run(backend, requests) -> dict:
    outputs = [o for step in backend.steps(requests) for o in step]
    assert len(outputs) == len({o.key for o in outputs})
    return {o.key: o for o in outputs}


def snr(got, wanted) -> float:
    return float(10 * np.log10(np.square(wanted).sum() / max(np.square(got - wanted).sum(), 1e-30)))


def frames(tokens: int, odd: bool) -> int:
    """Mel frames of speech: Turbo's three tokens of silence, less the odd frame of the prompt."""
    return 2 * (tokens + 3) - odd


def test_it_is_a_backend(backend):
    assert isinstance(backend, Backend)


def test_takes_of_any_voice_come_out_whole_with_their_pauses(backend):
    outputs = run(backend, [take("one", 14, 20, pause=250), take("two", 11, voice="b"), take("three", 25, 9, 12)])
    assert set(outputs) == {"one", "two", "three"} and not any(o.error for o in outputs.values())
    value = outputs["one"].value
    assert value["sample_rate"] == RATE and value["samples"].dtype == np.float32 and value["samples"].ndim == 1
    assert len(value["samples"]) == 480 * (frames(14, True) + frames(20, True)) + 2 * RATE // 4
    assert not value["samples"][-RATE // 4 :].any() and value["samples"].std() > 0.005
    assert len(outputs["two"].value["samples"]) == 480 * frames(11, False)
    usage = outputs["one"].usage
    assert usage["chunks"] == 2 and usage["speech_tokens"] == 14 + 20 + 6
    assert usage["audio_seconds"] == pytest.approx(len(value["samples"]) / RATE)


def test_a_take_does_not_depend_on_its_neighbours(backend):
    requests = [take("one", 14, 20), take("two", 11, voice="b"), take("three", 25, seed=9)]
    together = run(backend, requests)
    for request in requests:
        alone = run(backend, [request])[request.key].value["samples"]
        assert snr(together[request.key].value["samples"], alone) > 60


def test_chunks_of_one_take_have_noise_of_their_own(backend):
    assert chunk_seed(7, 0) != chunk_seed(7, 1) != chunk_seed(8, 1)
    chunk = {"tokens": random_tokens(12, 1).tolist(), "pause_ms": 0}
    samples = run(backend, [Request("k", {"chunks": [chunk, chunk], "voice": "a", "seed": 1})])["k"].value["samples"]
    half = len(samples) // 2
    assert snr(samples[:half], samples[half:]) < 20


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        ({"chunks": [], "voice": "a", "seed": 1}, "no_speech_tokens"),
        ({"chunks": [{"tokens": [6561, 6562]}], "voice": "a", "seed": 1}, "no_speech_tokens"),
        ({"chunks": [{"tokens": [1, 2]}, {"tokens": []}], "voice": "a", "seed": 1}, "no_speech_tokens"),
        ({"chunks": [{"tokens": [1, 2]}], "voice": "nobody", "seed": 1}, "bad_voice"),
        ({"chunks": [{"tokens": [1, 2]}], "voice": "a"}, "bad_request"),
        ({"chunks": [{"token": [1, 2]}], "voice": "a", "seed": 1}, "bad_request"),
        ({"chunks": [{"tokens": ["x"]}], "voice": "a", "seed": 1}, "bad_request"),
    ],
)
def test_a_request_that_cannot_be_spoken_is_an_error_and_its_neighbours_are_not(backend, payload, kind):
    outputs = run(backend, [Request("bad", payload), take("good", 10)])
    assert outputs["bad"].error["kind"] == kind and outputs["bad"].value is None
    assert outputs["good"].error is None


def test_audio_that_is_no_numbers_is_an_error_and_does_not_spread(backend):
    good = take("good", 14)
    alone = run(backend, [good])["good"].value["samples"]
    outputs = run(backend, [take("bad", 12, voice="nan"), good])
    assert outputs["bad"].error["kind"] == "non_finite_audio"
    assert snr(outputs["good"].value["samples"], alone) > 60


class Cramped(Vocoder):
    """A vocoder on a device with room for two rows (for none, of more than 60 tokens)."""

    seen: list[int]

    def waves(self, utterances):
        self.seen.append(len(utterances))
        if len(utterances) > 2 or any(len(u.tokens) > 60 for u in utterances):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().waves(utterances)


@pytest.fixture
def cramped(backend):
    roomy = backend.vocoder
    backend.vocoder = Cramped(roomy.model, steps=1)
    backend.vocoder.seen = []
    yield backend
    backend.vocoder = roomy


def test_a_batch_that_does_not_fit_the_device_is_halved(cramped):
    before = cramped.stats.extra["halved"]
    outputs = run(cramped, [take(str(i), 8) for i in range(5)])
    assert not any(o.error for o in outputs.values()) and len(outputs) == 5
    assert max(cramped.vocoder.seen) == 5 and cramped.stats.extra["halved"] > before


def test_a_chunk_that_never_fits_is_an_error_of_its_take_alone(cramped):
    outputs = run(cramped, [take("big", 10, 64), take("small", 8)])
    assert outputs["big"].error["kind"] == "out_of_memory"
    assert outputs["small"].error is None


def test_requests_are_drawn_only_as_room_appears(backend):
    drawn = []

    def endless():
        for i in range(10_000):
            drawn.append(i)
            yield take(str(i), 100)

    steps = backend.steps(endless())
    next(steps)
    # A take here has 230 frames of prompt, speech and silence.
    assert len(drawn) <= WINDOW * backend.frames // 230 + 2
    steps.close()


def test_it_must_be_open(spec):
    with pytest.raises(EngineError, match="not open"):
        next(spec.open().steps([]))


def test_the_watermark_is_put_in_once_and_memory_comes_back(spec, backend):
    request = take("k", 40, 40, voice="b")
    plain = run(backend, [request])["k"].value["samples"]
    with spec.open() as marked:
        samples = run(marked, [request])["k"].value["samples"]
        strength = marked.watermark.strength
        assert strength(samples, RATE) > 0.9 > 0.5 > strength(plain, RATE)
    assert samples.shape == plain.shape and samples.dtype == np.float32
    assert 0 < snr(samples, plain) < 60  # the mark hides behind speech, not behind this noise
    stats = marked.stats
    assert stats.footprint_mib > 400 and stats.returned_mib > 0.8 * stats.footprint_mib
    assert stats.extra["audio_seconds"] == pytest.approx(len(samples) / RATE)


def test_a_watermark_that_cannot_load_is_said_loudly(monkeypatch):
    for name in [n for n in sys.modules if n.split(".")[0] == "perth"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pkg_resources", None)  # as setuptools 81 leaves it
    with pytest.raises(UserError, match="Perth watermark cannot be loaded.*setuptools<81"):
        Watermark()


def test_specs_tell_what_decides_the_samples(spec):
    others = [{"flow": "bf16"}, {"steps": 2}, {"watermark": False}, {"voices": "/elsewhere"}]
    assert all(dataclasses.replace(spec, **o).identity() != spec.identity() for o in others)
    assert dataclasses.replace(spec, frames=800).identity() == spec.identity()
    assert dataclasses.replace(spec).group() == spec.group() != dataclasses.replace(spec, frames=800).group()


@pytest.mark.parametrize(
    ("option", "value"),
    [("flow", "fp8"), ("frames", 0), ("frames", "many"), ("steps", True), ("steps", -2), ("device", "tpu")],
)
def test_options_that_cannot_be_are_named_by_their_config_path(option, value):
    with pytest.raises(UserError, match=rf"tts\.vocoder\.{option}"):
        S3GenSpec("folder", **{option: value})


def test_joined_chunks_end_softly_and_the_last_as_it_is():
    ones = np.ones(4800, np.float32)
    whole = join([ones, ones], [100, 0], RATE)
    assert len(whole) == 2 * 4800 + 2400 and whole.dtype == np.float32
    assert whole[4799] == 0 and 0 < whole[4750] < 1 and whole[4600] == 1 and not whole[4800:7200].any()
    assert whole[-1] == 1
