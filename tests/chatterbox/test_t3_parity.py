"""The Original's T3 in one vLLM batch gives the tokens upstream gives one utterance at a time."""

from __future__ import annotations

import time

import pytest

from engine.records import Request
from stages.tts.chatterbox.t3_backend import T3Spec
from tests.chatterbox import upstream_t3
from tests.chatterbox.t3_cases import ENGINE, GREEDY, OWN_PROCESS, requests, run, unlike
from tests.conftest import CPU_ENV


@pytest.fixture(scope="module")
def rows(t3_voices):
    """What is to be said."""
    return requests(t3_voices)


@pytest.fixture(scope="module")
def upstream(original_t3, rows):
    """What upstream makes of it."""
    values = upstream_t3.speak_all(original_t3, "original", [row.payload for row in rows])
    return {row.key: value for row, value in zip(rows, values)}


@pytest.fixture(scope="module")
def t3(original_t3, t3_voices, t3_cache, upstream):
    """Our T3, its engine in this process; opened after upstream is done."""
    with T3Spec(str(original_t3), voices=str(t3_voices), cache=str(t3_cache), engine=ENGINE, env=CPU_ENV).open() as t3:
        yield t3


def test_the_reference_says_something_of_its_own(upstream):
    """Else all the comparisons below would compare nothing."""
    said = [tuple(value["tokens"]) for value in upstream.values()]
    assert len(set(said)) == len(said) > GREEDY
    assert sum(map(len, said)) > 6 * len(said)
    assert {value["finish_reason"] for value in upstream.values()} == {"length", "stop"}


def test_a_mixed_batch_is_token_exact(t3, rows, upstream):
    assert unlike(run(t3, rows), upstream) == []


def test_cached_prompts_change_nothing(t3, rows, upstream):
    run(t3, rows[:4])
    outputs = {output.key: output for output in t3.stream(rows)}
    cached = [outputs[row.key].usage["cached_tokens"] for row in rows]
    assert min(cached) >= 32 and max(cached) > 64  # the voice's blocks for all, the text's for those said before
    assert unlike({key: output.value for key, output in outputs.items()}, upstream) == []


def test_a_row_does_not_depend_on_its_neighbours(t3, rows, upstream):
    last = rows[-1]
    assert run(t3, [last])[last.key] == upstream[last.key]


def test_without_speech_positions_it_is_not_exact(t3, rows, upstream):
    """A control: the comparison sees the positions."""

    def swap(model):
        table = model.speech_pos_emb.weight
        kept = table.data
        table.data = kept * 0
        return kept

    (kept,) = t3.llm.apply_model(swap)
    try:
        assert len(unlike(run(t3, rows), upstream)) > GREEDY
    finally:
        t3.llm.apply_model(lambda model: setattr(model.speech_pos_emb.weight, "data", kept))


def test_without_zeroed_text_it_is_not_exact(t3, rows, upstream, monkeypatch):
    """A control: the comparison sees the unconditional half, in every row that is guided at all."""
    monkeypatch.setattr(t3.prompter, "unspoken", lambda text: text)
    guided = {row.key for row in rows if row.payload["sampling"]["cfg_weight"] > 0.3}
    assert len(guided & set(unlike(run(t3, rows), upstream))) >= 0.75 * len(guided)


def test_bad_rows_are_errors_and_their_neighbours_go_on(t3, rows, upstream):
    good = rows[0]
    sampling = dict(good.payload["sampling"])
    bad = {
        "no voice": dict(good.payload, voice="nobody"),
        "no such parameter": dict(good.payload, sampling={"cfg": 0.5}),
        "longer than the context": dict(good.payload, sampling=sampling | {"max_tokens": 4000}),
        "longer than T3 can read": dict(good.payload, text="on and on " * 1000),
    }
    outputs = {o.key: o for o in t3.stream([*(Request(key, payload) for key, payload in bad.items()), good])}
    assert outputs[good.key].value == upstream[good.key]
    assert {key: outputs[key].error["kind"] for key in bad} == {
        "no voice": "bad_request",
        "no such parameter": "bad_request",
        "longer than the context": "prompt_too_long",
        "longer than T3 can read": "text_too_long",
    }


def test_exact_from_an_engine_of_its_own_short_of_cache(original_t3, t3_voices, t3_cache, rows, upstream):
    """The engine's process knows the model by the entry point alone; rows are preempted and resumed."""
    engine = ENGINE | {"num_gpu_blocks_override": 40}
    spec = T3Spec(str(original_t3), voices=str(t3_voices), cache=str(t3_cache), engine=engine, env=OWN_PROCESS)
    named = [Request(row.key, dict(row.payload, voice=row.payload["voice"].split("/")[-1][:-3])) for row in rows]
    backend, began = spec.open(), time.monotonic()
    with backend as t3:
        assert t3.stats.load_s == pytest.approx(time.monotonic() - began, abs=0.01)  # all of it is loading
        assert unlike(run(t3, named), upstream) == []
