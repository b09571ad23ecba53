"""kill -9 at any moment of the whole pipeline: nothing kept is lost or done again, and the end is the same."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.reliability.shards import Held, assert_grown, assert_whole, held
from tests.reliability.stable import Stable

# Every stage, a rewrite round, some rows of every kind; few at a time, and shards of 2 KiB, which rotate often.
PIPELINE = (
    "select.limit=10",
    "generation.rounds=2",
    "checkpoint.shard_mib=0.002",
    "writer.engine.max_num_seqs=2",
    "auditor.engine.max_num_seqs=2",
)

# Moments worth dying at: the stages the run is given (so that one that slips by leaves work for those after it), what
# it is doing, and how it is caught at it.
MOMENTS = {
    "loading the writer": ("generate", {"mark": "opening generate", "delay": 0.5}),
    "just after loading": ("generate", {"mark": "running generate"}),
    "in mid-batch": ("generate", {"mark": "running generate", "delay": 0.1}),
    "at the first kept record": ("generate", {"mark": "kept generate"}),
    "half-way through a line": ("generate", {"call": "write", "under": "/generate/", "moment": "torn"}),
    "before an fsync of scripts": ("generate", {"call": "fsync", "under": "/generate/"}),
    "in a power cut": ("generate", {"call": "fsync", "under": "/generate/", "do": "power"}),
    "closing the writer": ("generate", {"mark": "closing generate"}),
    "between two stages": ("generate,audit", {"mark": "opening audit"}),
    "loading the auditor": ("generate,audit", {"mark": "opening audit", "delay": 0.5}),
    "in a batch of verdicts": ("generate,audit", {"mark": "running audit", "delay": 0.1}),
    "half-way through a verdict": ("generate,audit", {"call": "write", "under": "/audit/", "moment": "torn"}),
    "rotating a shard": ("generate,audit", {"call": "fsync", "under": "/audit", "nth": 2, "moment": "after"}),
    "in a power cut at a verdict": ("generate,audit", {"call": "fsync", "under": "/audit/", "do": "power"}),
    "between verdicts and rewriting": ("generate,audit", {"mark": "ends audit"}),
    "as takes begin": ("all", {"mark": "opening audio"}),
    "before a sound file is synced": ("all", {"call": "fsync", "under": "/takes/"}),
    "before a sound file gets its name": ("all", {"call": "replace", "under": "/takes/", "nth": 2}),
    "between a sound file and its record": ("all", {"call": "replace", "under": "/takes/", "moment": "after"}),
    "half-way through a take's record": ("all", {"call": "write", "under": "/audio/", "moment": "torn"}),
    "before takes are kept": ("all", {"call": "fsync", "under": "/audio/"}),
    "before the takes are swept": ("all", {"mark": "finish"}),
    "before the report is synced": ("all", {"call": "fsync", "under": "/report/"}),
    "before the summary gets its name": ("all", {"call": "replace", "under": "summary.json"}),
    "as the summary appears": ("all", {"call": "replace", "under": "summary.json", "moment": "after"}),
    "as run.json is replaced": ("all", {"call": "replace", "under": "run.json"}),
}


@pytest.fixture(scope="module")
def reference(stable: Stable, tmp_path_factory) -> Held:
    """What a run that nobody disturbs comes to."""
    path = tmp_path_factory.mktemp("reference") / "c"
    ended = stable.run("+stage=all", *PIPELINE, f"checkpoint.path={path}", timeout=400)
    assert ended.code == 0, ended.err
    found = assert_whole(path)
    assert found.records["audio"], "the demo models passed nothing: there is no audio to be killed in"
    return found


def run_into(harm: dict, stable: Stable, path: Path, before: Held, stages: str = "all") -> tuple[bool, Held]:
    """Run until `harm` strikes or to the end; returns whether it struck, and what is held then."""
    ended = stable.run(f"+stage={stages}", *PIPELINE, f"checkpoint.path={path}", harm=[harm], timeout=400)
    assert ended.code in (-9, 0), ended.err
    after = held(path) if path.exists() else Held()
    if harm.get("do") != "power":
        assert_grown(before, after)
    return ended.code == -9, after


def complete(stable: Stable, path: Path, before: Held, reference: Held) -> None:
    """Run to the end: all that was held is there, and nothing is missing, doubled or done again."""
    ended = stable.run("+stage=all", *PIPELINE, f"checkpoint.path={path}", timeout=400)
    assert ended.code == 0, ended.err
    finished = assert_whole(path, reference)
    assert_grown(before, finished)
    again = stable.run("+stage=all", *PIPELINE, f"checkpoint.path={path}")
    assert again.code == 0 and held(path).files == finished.files, "a finished run was not left alone"


def test_killed_at_every_kind_of_moment_one_after_the_other(stable: Stable, tmp_path, reference):
    """One checkpoint that goes through all of `MOMENTS`: each run gets a little further than the one before it."""
    struck, found = 0, Held()
    for stages, harm in MOMENTS.values():
        hit, found = run_into(harm, stable, tmp_path / "c", found, stages)
        struck += hit
    complete(stable, tmp_path / "c", found, reference)
    assert struck >= 20, f"only {struck} of {len(MOMENTS)} kills struck"


def random_harm(rng: random.Random) -> dict:
    """Dying at any time, more often where little time is spent."""
    stage = rng.choice(("generate", "audit", "audio"))
    if rng.random() < 0.4:
        return {"after": rng.uniform(0, 5)}
    if rng.random() < 0.5:
        return {"mark": f"{rng.choice(('opening', 'running'))} {stage}", "delay": rng.expovariate(3)}
    call, under = rng.choice((("write", stage), ("fsync", stage), ("replace", ""), ("fsync", "takes")))
    moment = rng.choice(("before", "after", "torn"))
    return {"call": call, "under": f"/{under}", "nth": rng.randint(1, 6), "moment": moment}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_killed_two_hundred_times_at_random(stable: Stable, tmp_path, reference, seed):
    """Ten kills a seed; a run that gets to its end between two of them leaves a new checkpoint to the next."""
    rng = random.Random(seed)
    struck, number, found = 0, 0, Held()
    while struck < 10:
        path = tmp_path / f"c{number}"
        hit, found = run_into(random_harm(rng), stable, path, found)
        struck += hit
        if not hit or struck == 10:
            complete(stable, path, found, reference)
            number, found = number + 1, Held()
