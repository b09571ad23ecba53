"""The LLM session against the real vLLM on a tiny random model."""

from __future__ import annotations

import gc
import json
import sys
from types import BuiltinFunctionType

import pytest

from engine.errors import UserError
from engine.records import Request, derive_seed
from engine.session import LlmSpec, llm_session
from tests.conftest import CPU_ENGINE, CPU_ENV


def chat(key: str, text: str = "hello", **sampling) -> Request:
    sampling = {"temperature": 0.9, "max_tokens": 12, "seed": derive_seed(key), **sampling}
    return Request(key, {"prompt": [{"role": "user", "content": text}], "sampling": sampling})


SCHEMA = {
    "type": "object",
    "properties": {"ok": {"type": "boolean"}, "n": {"type": "integer", "minimum": 1, "maximum": 10}},
    "required": ["ok", "n"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def session(tiny_spec):
    with llm_session(tiny_spec) as session:
        yield session


def texts(session, requests) -> dict[str, str]:
    return {o.key: o.value["text"] for o in session.stream(requests)}


def test_every_request_gets_exactly_one_output(session):
    outputs = list(session.stream(chat(f"k{i}") for i in range(100)))
    assert sorted(o.key for o in outputs) == sorted(f"k{i}" for i in range(100))
    assert all(o.error is None and o.usage["output_tokens"] > 0 for o in outputs)


def test_what_comes_late_joins_what_is_in_flight(session):
    """A source that has nothing just now says None; the engine goes on, and need not run empty before it takes more."""

    def source():
        yield chat("long", max_tokens=200, ignore_eos=True)
        for _ in range(20):
            yield None
        yield chat("late", max_tokens=4)

    assert [o.key for o in session.stream(source())] == ["late", "long"]


def test_requests_are_drawn_only_as_room_appears(session):
    drawn = 0

    def source():
        nonlocal drawn
        for i in range(400):
            drawn += 1
            yield chat(f"k{i}")

    steps = session.steps(source())
    next(steps)
    assert drawn <= 2 * session.window
    assert drawn < 400
    steps.close()


def test_over_long_prompt_is_an_error_and_its_neighbours_are_untouched(session):
    alone = texts(session, [chat("a"), chat("b")])
    outputs = {o.key: o for o in session.stream([chat("a"), chat("long", "x" * 5000), chat("b")])}
    assert outputs["long"].error["kind"] == "prompt_too_long"
    assert outputs["long"].error["prompt_tokens"] > 5000
    assert {k: outputs[k].value["text"] for k in "ab"} == alone


def test_sampling_vllm_refuses_is_an_error_of_that_row_alone(session):
    outputs = {o.key: o for o in session.stream([chat("bad", temperature=-3.0), chat("good")])}
    assert outputs["bad"].error["kind"] == "refused"
    assert outputs["good"].error is None


def test_text_depends_on_the_seed_and_not_on_the_neighbours(session):
    many = texts(session, [chat(f"k{i}") for i in range(64)])
    some = texts(session, [chat(f"k{i}") for i in reversed(range(0, 64, 7))])
    assert some == {k: many[k] for k in some}
    assert len(set(many.values())) > 60


def test_schema_binds_the_answer(session):
    requests = []
    for i in range(8):
        request = chat(f"k{i}", max_tokens=64)
        request.payload["schema"] = SCHEMA
        requests.append(request)
    for output in session.stream(requests):
        if output.value["finish_reason"] == "stop":
            answer = json.loads(output.value["text"])
            assert set(answer) == {"ok", "n"} and 1 <= answer["n"] <= 10


def test_abandoned_stream_leaves_the_session_usable(session):
    steps = session.steps(chat(f"k{i}", max_tokens=200) for i in range(50))
    next(steps)
    steps.close()
    assert len(texts(session, [chat("x"), chat("y")])) == 2


def test_closing_gives_the_memory_back_and_another_engine_loads(tmp_path):
    from tests.tiny import write_tiny_llm

    for seed in (1, 2):
        model = write_tiny_llm(tmp_path / str(seed), seed=seed)
        with llm_session(LlmSpec(str(model), engine=CPU_ENGINE, env=CPU_ENV)) as session:
            assert len(texts(session, [chat("a"), chat("b")])) == 2
        stats = session.stats
        assert stats.load_s > 0
        assert stats.footprint_mib > 100
        assert stats.returned_mib > 0.9 * stats.footprint_mib


def test_loaded_code_is_left_frozen_by_engines_that_open_close_or_fail(tiny_spec, tmp_path):
    with llm_session(tiny_spec):
        frozen = gc.get_freeze_count()
    with pytest.raises(UserError):
        with llm_session(LlmSpec(str(tmp_path), engine=CPU_ENGINE, env=CPU_ENV)):
            pass
    assert gc.get_freeze_count() >= frozen > 100_000
    assert isinstance(gc.freeze, BuiltinFunctionType) and isinstance(gc.unfreeze, BuiltinFunctionType)


def test_an_engine_opens_after_librosa_was_imported(tiny_spec):
    import llvmlite.binding.ffi  # noqa: F401  (what trips vLLM's search for kernels)

    with llm_session(tiny_spec) as session:
        assert texts(session, [chat("k")])["k"]
    assert "llvmlite.binding.ffi" in sys.modules


def test_missing_model_is_one_clear_line(tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        with llm_session(LlmSpec(str(tmp_path / "nowhere"), engine=CPU_ENGINE, env=CPU_ENV)):
            pass


def test_a_model_is_identified_by_its_content_not_its_place(tmp_path, tiny_llm):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(tiny_llm, copy)
    assert LlmSpec(str(copy)).identity() == LlmSpec(str(tiny_llm)).identity()
    weights = copy / "model.safetensors"
    raw = bytearray(weights.read_bytes())
    raw[-100] ^= 0xFF
    weights.write_bytes(bytes(raw))
    assert LlmSpec(str(copy)).identity() != LlmSpec(str(tiny_llm)).identity()
