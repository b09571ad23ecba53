"""What vLLM says when an engine fails, as our errors: which kind it is, and in one line what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine import degrade
from engine.errors import NO_ROOM, EngineError, UserError, disk_error
from engine.llm import LlmSpec

_SIZES = ("max_model_len", "max_num_seqs", "max_num_batched_tokens", "gpu_memory_utilization", "kv_cache_memory_bytes")


def is_dead_engine(error: Exception) -> bool:
    """Whether `error` comes from an engine process that is gone."""
    from vllm.v1.engine.exceptions import EngineDeadError

    return any(isinstance(e, EngineDeadError) for e in causes(error))


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """`error` and what it was raised from, outermost first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def load_error(spec: LlmSpec, error: Exception, arguments: Mapping[str, Any], said_all: str) -> Exception:
    """One line for what vLLM said when the engine did not start."""
    for e in causes(error):
        if isinstance(e, OSError) and e.errno in NO_ROOM:  # it could not even write its log
            return disk_error(e, e.filename or "the run's folder")
    if degrade.is_out_of_memory(said_all):
        return too_small(spec, arguments, first_line(error))
    said = first_line(list(causes(error))[-1]) if not isinstance(error, RuntimeError) else first_line(error)
    if isinstance(error, (ValueError, TypeError, OSError)) or "Validation" in type(error).__name__:
        return UserError(f"vLLM cannot load it: {said}", spec.model, "check model and engine arguments")
    return EngineError(f"{spec.model}: engine did not start: {said}; engine.log in the checkpoint has the details")


def too_small(spec: LlmSpec, arguments: Mapping[str, Any], said: str) -> EngineError:
    """What to say when an engine does not fit although it was made smaller; names the numbers tried."""
    tried = ", ".join(f"{n}={arguments[n]}" for n in _SIZES if arguments.get(n) is not None)
    return EngineError(
        f"{spec.model} does not fit in memory, even made smaller ({tried}): {said}; lower these, or use a smaller model"
    )


def first_line(error: BaseException) -> str:
    """An exception's message on one line of at most 300 characters, or its class."""
    text = " ".join(str(error).split())
    return (text[:300] + "…") if len(text) > 300 else text or type(error).__name__
