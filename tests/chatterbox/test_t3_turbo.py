"""Turbo's T3 in one vLLM batch gives the tokens upstream gives one utterance at a time."""

from __future__ import annotations

import pytest

from stages.tts.chatterbox.t3_backend import T3Spec
from tests.chatterbox import upstream_t3
from tests.chatterbox.t3_cases import ENGINE, GREEDY, requests, run, unlike
from tests.conftest import CPU_ENV


@pytest.fixture(scope="module")
def rows(t3_voices):
    """What is to be said."""
    return requests(t3_voices, "turbo", longest=22)


@pytest.fixture(scope="module")
def upstream(turbo_t3, rows):
    """What upstream makes of it."""
    values = upstream_t3.speak_all(turbo_t3, "turbo", [row.payload for row in rows])
    return {row.key: value for row, value in zip(rows, values)}


@pytest.fixture(scope="module")
def t3(turbo_t3, t3_cache, upstream):
    """Our T3, its engine in this process; opened after upstream is done."""
    with T3Spec(str(turbo_t3), "turbo", cache=str(t3_cache), engine=ENGINE, env=CPU_ENV).open() as t3:
        yield t3


def test_the_reference_says_something_of_its_own(upstream):
    said = [tuple(value["tokens"]) for value in upstream.values()]
    assert len(set(said)) > GREEDY
    assert {value["finish_reason"] for value in upstream.values()} == {"length", "stop"}


def test_a_mixed_batch_is_token_exact(t3, rows, upstream):
    assert unlike(run(t3, rows), upstream) == []


def test_cached_prompts_change_nothing(t3, rows, upstream):
    outputs = {output.key: output for output in t3.stream(rows)}
    cached = [outputs[row.key].usage["cached_tokens"] for row in rows]
    assert min(cached) >= 240
    assert unlike({key: output.value for key, output in outputs.items()}, upstream) == []


def test_rows_that_come_and_go_keep_their_own_sampling(t3, rows, upstream):
    """More rows than the engine runs at once, in another order: rows move in the batch and slots are used again."""
    again = [row for row in reversed(rows)] + rows
    outputs = [(row, output) for row, output in zip(again, _in_order(t3, again))]
    assert [row.key for row, output in outputs if output.value != upstream[row.key]] == []


def test_vllms_own_order_of_steps_is_not_exact(t3, rows, upstream, monkeypatch):
    """A control: the comparison sees that the penalty comes last and does not count the start token twice."""
    from vllm import SamplingParams

    def prepare(request):
        prompt, params = type(t3).prepare(t3, request)
        steps = params.extra_args["turbo"]
        plain = SamplingParams(**steps, seed=params.seed, max_tokens=params.max_tokens, detokenize=False)
        plain.stop_token_ids = params.stop_token_ids
        return prompt, plain

    monkeypatch.setattr(t3, "prepare", prepare)
    assert len(unlike(run(t3, rows), upstream)) >= 3


def _in_order(t3, rows):
    from engine.records import Request

    numbered = [Request(str(i), row.payload) for i, row in enumerate(rows)]
    outputs = {output.key: output for output in t3.stream(numbered)}
    return [outputs[row.key] for row in numbered]
