"""kill -9 at any moment of the whole pipeline: nothing kept is lost or done again, and the end is the same."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.reliability.shards import Held, assert_grown, assert_whole, held
from tests.reliability.stable import Stable

# Every stage, a rewrite round, some rows of every kind; shards of 2 KiB rotate every few records.
PIPELINE = ("+stage=all", "select.limit=8", "generation.rounds=2", "checkpoint.shard_mib=0.002")
ENGINES = ("generate", "audit")

# Moments worth dying at, besides random ones: what the run is doing, and how it is caught at it.
MOMENTS = {
    "loading the writer": {"mark": "opening generate", "delay": 0.8},
    "just after loading": {"mark": "running generate"},
    "in mid-batch": {"mark": "running generate", "delay": 0.25},
    "at the first kept record": {"mark": "kept generate"},
    "before an fsync of scripts": {"call": "fsync", "under": "/generate/", "nth": 2},
    "half-way through a line": {"call": "write", "under": "/generate/", "nth": 4, "moment": "torn"},
    "closing the writer": {"mark": "closing generate"},
    "between two stages": {"mark": "ends generate"},
    "loading the auditor": {"mark": "opening audit", "delay": 0.5},
    "in a batch of verdicts": {"mark": "running audit", "delay": 0.3},
    "half-way through a verdict": {"call": "write", "under": "/audit/", "nth": 3, "moment": "torn"},
    "rotating a shard": {"call": "fsync", "under": "/audit", "nth": 5, "moment": "after"},
    "in a power cut": {"call": "fsync", "under": "/audit/", "nth": 2, "do": "power"},
    "between verdicts and rewriting": {"mark": "opening generate", "nth": 1},
    "before a sound file is synced": {"call": "fsync", "under": "/takes/", "nth": 1},
    "before a sound file gets its name": {"call": "replace", "under": "/takes/", "nth": 2},
    "between a sound file and its record": {"call": "replace", "under": "/takes/", "nth": 1, "moment": "after"},
    "half-way through a take's record": {"call": "write", "under": "/audio/", "nth": 2, "moment": "torn"},
    "before the takes are swept": {"mark": "finish"},
    "before the report is synced": {"call": "fsync", "under": "/report/", "nth": 1},
    "as the report appears": {"call": "replace", "under": "summary.json", "moment": "after"},
}


@pytest.fixture(scope="module")
def reference(stable: Stable, tmp_path_factory) -> Held:
    """What a run that nobody disturbs comes to."""
    path = tmp_path_factory.mktemp("reference") / "c"
    ended = stable.run(*PIPELINE, f"checkpoint.path={path}", timeout=300)
    assert ended.code == 0, ended.err
    found = assert_whole(path)
    assert found.records["audio"], "the demo models passed nothing: there is no audio to be killed in"
    return found


def survive(stable: Stable, path: Path, harms: list[dict], reference: Held) -> int:
    """Run, killed by each of `harms` in turn, then to the end; returns how many kills struck."""
    struck = 0
    before = held(path) if path.exists() else Held()
    for harm in harms:
        ended = stable.run(*PIPELINE, f"checkpoint.path={path}", harm=[harm], timeout=300)
        assert ended.code in (-9, 0), ended.err
        struck += ended.code == -9
        after = held(path) if path.exists() else Held()
        if harm.get("do") != "power":
            assert_grown(before, after)
        before = after
    ended = stable.run(*PIPELINE, f"checkpoint.path={path}", timeout=300)
    assert ended.code == 0, ended.err
    assert_grown(before, assert_whole(path, reference))
    again = stable.run(*PIPELINE, f"checkpoint.path={path}")
    assert again.code == 0 and "loading" not in again.out
    assert_whole(path, reference)
    return struck


def test_killed_at_every_kind_of_moment_one_after_the_other(stable: Stable, tmp_path, reference):
    """One checkpoint that goes through all of `MOMENTS`: each run gets a little further than the one before it."""
    struck = survive(stable, tmp_path / "c", list(MOMENTS.values()), reference)
    assert struck >= 0.8 * len(MOMENTS)  # a moment an earlier run got past does not come again


def random_harm(rng: random.Random) -> dict:
    """Dying at any time, more often where little time is spent."""
    stage = rng.choice(("generate", "audit", "audio"))
    if rng.random() < 0.4:
        return {"after": rng.uniform(0, 12)}
    if rng.random() < 0.5:
        return {"mark": f"{rng.choice(('opening', 'running'))} {stage}", "delay": rng.expovariate(1.5)}
    call, under = rng.choice((("write", stage), ("fsync", stage), ("replace", ""), ("fsync", "takes")))
    moment = rng.choice(("before", "after", "torn"))
    return {"call": call, "under": f"/{under}", "nth": rng.randint(1, 6), "moment": moment}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_killed_two_hundred_times_at_random(stable: Stable, tmp_path, reference, seed):
    rng = random.Random(seed)
    struck = survive(stable, tmp_path / "c", [random_harm(rng) for _ in range(16)], reference)
    assert struck >= 10
