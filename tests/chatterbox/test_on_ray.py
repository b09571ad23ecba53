"""Chatterbox on the workers of a Ray cluster: the tokens and the samples it gives without one."""

from __future__ import annotations

import shutil

import pytest

from tests.chatterbox.test_run import arguments  # noqa: F401  a fixture
from tests.test_run import engine, shards

pytestmark = pytest.mark.slow  # two vLLM engines loaded twice, and a Ray


def test_turbo_says_on_ray_what_it_says_here(arguments, tmp_path):  # noqa: F811
    pytest.importorskip("ray")
    here, there = tmp_path / "here", tmp_path / "there"
    done = engine(*arguments, f"checkpoint.path={here}", timeout=580)
    assert done.returncode == 0, done.stdout + done.stderr
    shutil.copytree(here, there)
    for made in ("tokens", "audio", "takes"):
        shutil.rmtree(there / made)
    done = engine(*arguments, "cluster=ray", "cluster.rows_per_task=1", f"checkpoint.path={there}", timeout=580)
    assert done.returncode == 0, done.stdout + done.stderr
    for stage in ("tokens", "audio"):
        mine, its = shards(here, stage), shards(there, stage)
        assert {k: r["output"] for k, r in mine.items()} == {k: r["output"] for k, r in its.items()}
    for record in shards(here, "audio").values():
        file = record["output"]["file"]
        assert (here / file).read_bytes() == (there / file).read_bytes()
