"""Listening to takes: word errors of real texts, a Whisper of random weights through vLLM, and whole runs with it."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from engine.errors import UserError
from engine.records import Request
from stages.asr_whisper import RATE, WhisperSpec, cut
from stages.asr_words import word_errors
from tests.chatterbox.s3gen_weights import speech_like, write_clip
from tests.chatterbox.whisper import write_tiny_whisper
from tests.conftest import CPU_ENV
from tests.stages.studio import compose_job, fill, go
from tests.test_run import shards


@pytest.mark.parametrize(
    ("script", "heard"),
    [
        ("It's 7:30 in Port Amity, night owls.", "it is seven thirty in Port Amity night owls"),
        ("It's seven thirty AM.", "It's 7:30 a.m."),
        ("Seven oh five, and 21° outside.", "7:05 and twenty-one degrees outside."),
        ("From 1987: 99 Tides by Mr. Low & Co.", "From nineteen eighty-seven, ninety nine tides by Mister Low and Co."),
        (
            "That one's $5.20 well spent [chuckle], friends!",
            "That one is five dollars and twenty cents well spent friends",
        ),
        ("Stay (Just a Little), here on Amity FM.", "stay just a little here on amity fm"),
        ("I’m gonna play it.", "I am going to play it."),
        ("Café Noir – naïve, they said…", "Cafe noir. Naive they said."),
    ],
)
def test_the_same_words_written_otherwise_are_no_errors(script, heard):
    assert word_errors(script, heard).errors == 0


@pytest.mark.parametrize(
    ("script", "heard", "errors", "words"),
    [
        ("Two minutes of quiet, then back to it.", "Two minutes of quiet then back.", 2, 8),
        ("Keep the light low and lean in.", "Keep the light slow and lean in in.", 2, 7),
        ("Keep the light low and lean in.", "", 7, 7),
        ("It's 7:30.", "It's 7:45.", 1, 3),
        ("Hold on.", "Hold on and on and on and on", 6, 2),
        ("[laugh]", "who is there", 3, 0),
    ],
)
def test_each_word_left_out_put_in_or_changed_is_an_error(script, heard, errors, words):
    found = word_errors(script, heard)
    assert (found.errors, found.words) == (errors, words)
    assert found.rate == errors / max(words, 1)


def test_british_and_american_spelling_are_one_where_the_model_says_so():
    assert word_errors("the colour of it", "the color of it").errors == 1
    assert word_errors("the colour of it", "the color of it", spelling={"colour": "color"}).errors == 0


@pytest.mark.parametrize(
    ("language", "script", "heard", "errors", "words"),
    [
        ("de", "Es ist 7 Uhr, gute Nacht!", "es ist sieben Uhr gute Nacht", 0, 6),
        ("fr-CA", "Il est tard, mes amis.", "il est tôt mes amis", 1, 5),
        ("ja", "今日は雨です。", "今日は雪です", 1, 6),  # letters, where words are not told apart
    ],
)
def test_other_languages_have_their_own_words(language, script, heard, errors, words):
    found = word_errors(script, heard, language)
    assert (found.errors, found.words) == (errors, words)


def test_a_long_take_is_cut_where_it_is_quiet():
    speech = np.random.default_rng(0).standard_normal(RATE * 70).astype(np.float32)
    speech[RATE * 27 : RATE * 27 + RATE // 5] = 0
    speech[RATE * 54 : RATE * 54 + RATE // 5] = 0
    pieces = cut(speech)
    assert np.array_equal(np.concatenate(pieces), speech)
    ends = np.cumsum([len(piece) for piece in pieces]) / RATE
    assert len(pieces) == 3 and 27 < ends[0] < 27.2 and 54 < ends[1] < 54.2
    assert [len(piece) for piece in cut(speech[: RATE * 30])] == [RATE * 30]


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    """Folder of a random Whisper."""
    return write_tiny_whisper(tmp_path_factory.mktemp("whisper") / "tiny")


@pytest.fixture(scope="module")
def spec(whisper):
    """How to open it in this process."""
    return WhisperSpec(str(whisper), env=CPU_ENV)


SAMPLING = {"temperature": 0.0, "max_tokens": 12, "seed": 0}


def listen(session, path, key="k", language="en", script="what was to be said"):
    payload = {"path": str(path), "script": script, "language": language, "sampling": SAMPLING}
    return Request(key, payload)


def heard_by_transformers(folder, clip: np.ndarray, language: str = "en") -> str:
    """One clip's greedy transcript by upstream's own model, step by step."""
    import torch
    from transformers import WhisperForConditionalGeneration, WhisperProcessor

    model, processor = WhisperForConditionalGeneration.from_pretrained(folder), WhisperProcessor.from_pretrained(folder)
    features = processor.feature_extractor(clip, sampling_rate=RATE, return_tensors="pt").input_features
    opening = f"<|startoftranscript|><|{language}|><|transcribe|><|notimestamps|>"
    ids = processor.tokenizer(opening, add_special_tokens=False, return_tensors="pt").input_ids
    said = []
    with torch.no_grad():
        while len(said) < SAMPLING["max_tokens"]:
            token = int(model(input_features=features, decoder_input_ids=ids).logits[0, -1].argmax())
            if token == model.config.eos_token_id:
                break
            said.append(token)
            ids = torch.cat([ids, torch.tensor([[token]])], 1)
    return processor.tokenizer.decode(said, skip_special_tokens=True).strip()


def test_a_batch_of_takes_is_heard_as_transformers_hears_them_one_at_a_time(spec, whisper, tmp_path):
    paths = {f"k{n}": write_clip(tmp_path / f"{n}.wav", 2 + n, RATE, pitch=90 + 40 * n) for n in range(4)}
    languages = dict(zip(paths, ("en", "de", "en-GB", "ja")))
    long = np.concatenate([speech_like(16, RATE), np.zeros(RATE // 2, np.float32), speech_like(20, RATE, pitch=200)])
    soundfile.write(tmp_path / "long.wav", long, RATE)
    with spec.open() as session:
        requests = [listen(session, path, key, languages[key]) for key, path in paths.items()]
        requests += [
            listen(session, tmp_path / "long.wav", "long"),
            listen(session, tmp_path / "none.wav", "gone"),
            listen(session, (tmp_path / "0.wav").as_uri(), "url"),
            listen(session, paths["k0"], "klingon", language="tlh"),
        ]
        outputs = {o.key: o for step in session.steps(requests) for o in step}
    assert set(outputs) == {*paths, "long", "gone", "klingon", "url"}
    for key, path in paths.items():
        clip, _ = soundfile.read(path, dtype="float32")
        heard = outputs[key].value["heard"]
        assert (
            heard == heard_by_transformers(whisper, clip, languages[key].partition("-")[0]) and len(heard.split()) > 5
        )
    assert len({outputs[key].value["heard"] for key in paths}) > 1  # it does listen
    halves = [
        heard_by_transformers(whisper, half) for half in cut(soundfile.read(tmp_path / "long.wav", dtype="float32")[0])
    ]
    assert len(halves) == 2 and outputs["long"].value["heard"] == " ".join(halves)
    assert outputs["long"].usage["output_tokens"] == 2 * SAMPLING["max_tokens"]
    assert outputs["url"].value == outputs["k0"].value
    assert outputs["gone"].error["kind"] == "unreadable" and outputs["klingon"].error["kind"] == "language"
    assert session.stats.returned_mib >= 0.5 * session.stats.footprint_mib > 0


def test_an_english_only_whisper_is_asked_without_a_language(tmp_path):
    folder = write_tiny_whisper(tmp_path / "en", english_only=True)
    clip = write_clip(tmp_path / "a.wav", 2, RATE)
    with WhisperSpec(str(folder), env=CPU_ENV).open() as session:
        requests = [listen(session, clip, "en"), listen(session, clip, "de", "de")]
        outputs = {o.key: o for step in session.steps(requests) for o in step}
    assert outputs["en"].usage["input_tokens"] == 2 and outputs["en"].value["heard"]
    assert outputs["de"].error["kind"] == "language"


def test_another_model_is_refused(tiny_llm):
    with pytest.raises(UserError, match="no Whisper but a llama.*whisper-small"):
        WhisperSpec(str(tiny_llm), env=CPU_ENV).open().__enter__()


SHORT = ("select.kinds=[time]", "select.limit=2", "generation.rounds=1")


def test_a_run_holds_every_take_against_its_script_and_hears_it_once(whisper, tmp_path):
    def run(*overrides: str) -> dict:
        go(compose_job(tmp_path, *SHORT, *listening, *overrides, stages="[audio,report]"))
        return shards(tmp_path, "asr")

    listening = [f"audio.asr.model={whisper}", *(f"++audio.asr.env.{k}={v}" for k, v in CPU_ENV.items())]
    fill(compose_job(tmp_path, *SHORT, stages="[generate,audit]"), score=lambda link, dice: 9)
    first = run("audio.asr.max_wer=1000")
    takes = shards(tmp_path, "audio")
    assert len(takes) == 2 and first.keys() == takes.keys()
    for record in first.values():
        found = record["output"]
        assert found["heard"] and found["wer"] == pytest.approx(found["errors"] / found["words"], abs=1e-4)
    assert outcome(tmp_path)["takes"] == 2

    assert run("audio.asr.max_wer=1000") == first  # nothing heard twice
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    tmp_path = moved
    assert run("audio.asr.max_wer=1000") == first  # nor where the checkpoint lies elsewhere

    strict = run()
    assert {key: record["error"]["kind"] for key, record in strict.items()} == dict.fromkeys(takes, "bad_take")
    assert shards(tmp_path, "audio") == takes  # eSpeak would only say the same again
    figures = outcome(tmp_path)
    assert figures["takes"] == 0 and figures["errors"] == 2
    assert all("asr: word error rate" in row["reasons"][0] for row in figures["unsettled"])

    lenient = run("audio.asr.max_wer=1000")  # another limit is another question; the takes were left as they are
    assert {k: r["output"] for k, r in lenient.items()} == {k: r["output"] for k, r in first.items()}
    assert outcome(tmp_path)["takes"] == 2 and shards(tmp_path, "audio") == takes

    alone = {"stages": "asr"}
    listening.append("audio.asr.max_wer=1000")
    assert go(compose_job(tmp_path, *SHORT, *listening, **alone)).objective() is None
    job = go(compose_job(tmp_path, *SHORT, *listening, "objective=word_error_rate", **alone))
    found = [record["output"] for record in first.values()]
    rate = sum(f["errors"] for f in found) / sum(f["words"] for f in found)
    assert job.objective() == pytest.approx(rate, abs=1e-4)


def outcome(folder) -> dict:
    import json

    return json.loads((folder / "report/summary.json").read_text())
