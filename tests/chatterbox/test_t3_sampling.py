"""Sampling: names and ranges, and Turbo's order of steps against upstream's own processors."""

from __future__ import annotations

import pytest

from engine.errors import UserError
from stages.tts.chatterbox.t3_sampling import DEFAULTS, resolve


@pytest.mark.parametrize("variant", DEFAULTS)
def test_defaults_are_upstreams(variant):
    import inspect

    from chatterbox.mtl_tts import ChatterboxMultilingualTTS
    from chatterbox.tts import ChatterboxTTS
    from chatterbox.tts_turbo import ChatterboxTurboTTS

    upstream = {"original": ChatterboxTTS, "multilingual": ChatterboxMultilingualTTS, "turbo": ChatterboxTurboTTS}
    given = {n: p.default for n, p in inspect.signature(upstream[variant].generate).parameters.items()}
    ours = resolve({}, variant)
    shared = ours.keys() & given.keys()
    assert {"temperature", "top_p", "repetition_penalty"} <= shared
    assert {name: ours[name] for name in shared} == {name: given[name] for name in shared}


def test_a_wrong_name_is_refused_with_the_nearest_right_one():
    with pytest.raises(UserError, match=r"tts\.sampling\.cfg_wieght.*did you mean 'cfg_weight'"):
        resolve({"cfg_wieght": 0.5}, "original", "tts.sampling")


def test_turbo_has_no_guidance():
    with pytest.raises(UserError, match="Chatterbox turbo has no such parameter"):
        resolve({"cfg_weight": 0.5}, "turbo")


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -0.1},
        {"top_p": 0},
        {"min_p": 1.5},
        {"max_tokens": 0},
        {"max_tokens": 9000},
        {"max_tokens": 10.5},
        {"cfg_weight": "half"},
        {"repetition_penalty": True},
        {"cfg_weight": float("nan")},
    ],
)
def test_values_out_of_range_are_refused(wrong):
    (name,) = wrong
    with pytest.raises(UserError, match=f"sampling.{name}"):
        resolve(wrong, "original")


def test_a_null_is_refused_where_a_number_is_needed():
    with pytest.raises(UserError, match="sampling.temperature"):
        resolve({"temperature": None}, "original")
    assert resolve({"seed": None}, "original")["seed"] is None


@pytest.mark.parametrize("seed", range(8))
def test_turbos_steps_equal_upstreams(seed):
    """Rows of one batch, each with its own values, against the processors `inference_turbo` lists."""
    import torch
    from transformers.generation.logits_process import (
        LogitsProcessorList,
        RepetitionPenaltyLogitsProcessor,
        TemperatureLogitsWarper,
        TopKLogitsWarper,
        TopPLogitsWarper,
    )

    from stages.tts.chatterbox.t3_turbo_sampling import warp

    generator = torch.Generator().manual_seed(seed)
    rows, vocab = 6, 300
    logits = 3 * torch.randn(rows, vocab, generator=generator)
    logits[0, :5] = logits[0].max()  # ties
    temperature = [1.0, 0.5, 0.8, 1.3, 0.8, 2.0]
    top_k = [vocab, 10, 1, 50, 3, vocab]
    top_p = [1.0, 0.9, 0.5, 1.0, 0.01, 0.99]
    penalty = [1.0, 1.2, 2.0, 1.5, 1.0, 1.1]
    spoken = [torch.randint(0, vocab, (1, 1 + 3 * i), generator=generator) for i in range(rows)]
    seen = torch.zeros(rows, vocab, dtype=torch.bool)
    theirs = []
    for i in range(rows):
        seen[i, spoken[i][0]] = True
        steps = LogitsProcessorList(
            [
                TemperatureLogitsWarper(temperature[i]),
                TopKLogitsWarper(top_k[i]),
                TopPLogitsWarper(top_p[i]),
                RepetitionPenaltyLogitsProcessor(penalty[i]),
            ]
        )
        theirs.append(steps(spoken[i], logits[i : i + 1]))
    column = [torch.tensor(values)[:, None] for values in (temperature, top_k, top_p, penalty)]
    assert torch.equal(warp(logits, *column, seen), torch.cat(theirs))
    seldom = [column[0], None, None, column[3]]
    neutral = [column[0], torch.full_like(column[1], vocab), torch.ones_like(column[2]), column[3]]
    assert torch.equal(warp(logits, *seldom, seen), warp(logits, *neutral, seen))
