"""What all tests share: vLLM's CPU settings and a tiny model."""

from __future__ import annotations

import os
import sys

import pytest

# Before anything imports torch or vLLM, here or in a process that a test starts: where bytecode is not kept, as in many
# containers, each of them compiles vLLM anew, 13 s.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
if "PYTEST_XDIST_WORKER" in os.environ:  # as many threads as processes would fight over the cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")

CPU_ENV = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_KVCACHE_SPACE": "1"}
CPU_ENGINE = {
    "enforce_eager": True,
    "enable_chunked_prefill": False,
    "max_num_batched_tokens": 16384,
    "max_num_seqs": 32,
    "max_model_len": 2048,
}


def pytest_collection_modifyitems(items):
    """Files of many short tests come last, so that the processes that share the files end together."""
    items.sort(key=lambda item: "stages" in item.path.parts)


@pytest.fixture(scope="session")
def tiny_llm(tmp_path_factory):
    """Folder of a tiny random Llama."""
    from tests.tiny import write_tiny_llm

    return write_tiny_llm(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def tiny_spec(tiny_llm):
    """How to open it in this process."""
    from engine.session import LlmSpec

    return LlmSpec(str(tiny_llm), engine=CPU_ENGINE, env=CPU_ENV)


@pytest.fixture(scope="session")
def stable():
    """Forks whole runs."""
    from tests.command import warm

    return warm()
