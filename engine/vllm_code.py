"""vLLM's code, brought in and got past what would trip it, before an engine is made of it."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator
from typing import Any

from engine.errors import UserError


def load_vllm() -> Any:
    """Import what an engine runs, so that code is not counted as the engine's memory; returns `vllm.LLM`.

    The garbage collector is told to leave alone all that is there by now (`gc.freeze`). It is code, through which every
    one of the many collections that vLLM asks for would go again, half a second each.

    Raises:
        UserError: vLLM is not installed, or not as this machine needs it.
    """
    with _no_collecting():
        try:
            from vllm import LLM, envs
            from vllm.platforms import current_platform
        except ImportError as e:
            raise UserError(
                f"vLLM cannot be imported ({e})", "environment", "install with --extra cpu or --extra cuda"
            ) from e
        if current_platform.is_cpu():
            import vllm.v1.worker.cpu_worker  # noqa: F401
        gc.freeze()
    # vLLM freezes its environment variables when an engine starts; this engine may need others.
    if (thaw := getattr(envs, "disable_envs_cache", None)) is not None:
        thaw()
    return LLM


@contextlib.contextmanager
def _no_collecting() -> Iterator[None]:
    """Code that is being imported is no garbage; looking for some takes a third of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@contextlib.contextmanager
def code_left_frozen() -> Iterator[None]:
    """Open or close an engine without freezing or unfreezing anything.

    vLLM freezes an engine once it is open (`vllm/utils/gc_utils.py`) and, so that it can be collected, unfreezes all
    there is when it is closed: the code too, which the three collections that follow then go through, two seconds in
    all. Left out of the frozen, the engine is collected without that.
    """
    was = gc.freeze, gc.unfreeze
    gc.freeze = gc.unfreeze = lambda: None
    try:
        yield
    finally:
        gc.freeze, gc.unfreeze = was


@contextlib.contextmanager
def readable_modules() -> Iterator[None]:
    """Keep one module of llvmlite (of numba, which librosa brings) out of sight while an engine starts.

    vLLM's CPU platform looks through every loaded module for Triton kernels and trips over an object there that answers
    any attribute with a foreign function (`vllm/triton_utils/dispatcher.py`, `_rebind_kernels`).
    """
    name = "llvmlite.binding.ffi"
    hidden = sys.modules.pop(name, None)
    try:
        yield
    finally:
        if hidden is not None:
            sys.modules[name] = hidden
