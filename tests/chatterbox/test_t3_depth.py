"""T3 at upstream's full depth, and the variants and settings the quick tests leave out."""

from __future__ import annotations

import pytest

from stages.tts.chatterbox.t3_backend import T3Spec
from tests.chatterbox import upstream_t3, weights
from tests.chatterbox.t3_cases import ENGINE, OWN_PROCESS, requests, run, unlike
from tests.conftest import CPU_ENV

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("variant", ["original", "turbo"])
def test_full_depth_is_token_exact(variant, tmp_path, t3_voices):
    """30 and 24 layers, a few tokens each."""
    folder = (weights.write_original if variant == "original" else weights.write_turbo)(tmp_path / variant, layers=None)
    rows = requests(t3_voices, variant, longest=8)
    values = upstream_t3.speak_all(folder, variant, [row.payload for row in rows])
    env = CPU_ENV | {"VLLM_CPU_KVCACHE_SPACE": "3"}
    with T3Spec(str(folder), variant, cache=str(tmp_path), engine=ENGINE, env=env).open() as t3:
        assert unlike(run(t3, rows), {row.key: value for row, value in zip(rows, values)}) == []


def test_multilingual_is_token_exact(tmp_path, t3_voices):
    """But for the attention watch by which upstream ends an utterance (see docs/chatterbox.md)."""
    folder = weights.write_multilingual(tmp_path / "multilingual")
    rows = requests(t3_voices, "multilingual", longest=16)
    values = upstream_t3.speak_all(folder, "multilingual", [row.payload for row in rows])
    with T3Spec(str(folder), "multilingual", cache=str(tmp_path), engine=ENGINE, env=CPU_ENV).open() as t3:
        assert unlike(run(t3, rows), {row.key: value for row, value in zip(rows, values)}) == []


def test_turbo_is_exact_from_an_engine_of_its_own_short_of_cache(turbo_t3, t3_voices, t3_cache):
    """Sampling state follows rows that are put back for want of cache and resumed."""
    rows = requests(t3_voices, "turbo", longest=30)
    values = upstream_t3.speak_all(turbo_t3, "turbo", [row.payload for row in rows])
    engine = ENGINE | {"num_gpu_blocks_override": 60}
    with T3Spec(str(turbo_t3), "turbo", cache=str(t3_cache), engine=engine, env=OWN_PROCESS).open() as t3:
        assert unlike(run(t3, rows), {row.key: value for row, value in zip(rows, values)}) == []
