"""Checkpoints with scripts, verdicts and takes in seconds: records as the stages themselves make them, no LLM loaded.

Scripts and scores are given; everything else (prompts, fingerprints, rules, verdicts, shards, takes by eSpeak, the
report) is the product's own.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson
from hydra import compose, initialize_config_module

from engine import config as schema
from engine.commit import Committer
from engine.errors import RowError
from engine.job import Job
from engine.plan import Task
from engine.progress import Display
from engine.records import Output, make_record
from engine.runner import run
from engine.stop import StopFlag

OPENERS = (
    "Friends, that tide is coming in and",
    "Port Amity, kettles on, because",
    "Stay close to the lamp while",
    "Well now, here comes a little something:",
    "No rush tonight, night owls,",
)
MIDDLES = (
    "the rain keeps its own time out past the breakwater",
    "somebody left a window open for this one",
    "every train out of here sounds a bit like it",
    "you can hear the harbour under it if you listen",
)
ENDS = (
    "Keep the light low and lean in.",
    "Two minutes of quiet, then back to it.",
    "Hold on to your hats, early birds.",
)


def compose_job(path: Path | str, *overrides: str, stages: str = "all") -> Job:
    """A job as `python -m engine +stage=… checkpoint.path=…` makes it."""
    schema.register()
    with initialize_config_module("conf", version_base="1.3"):
        config = compose("config", [f"+stage={stages}", f"checkpoint.path={path}", "quiet=true", *overrides])
    return Job(config, str(path))


def script_for(link: Any, dice: random.Random) -> str:
    """A plausible script, about as long as the link wants."""
    title = f" {link.song.title} by {link.song.artist}." if link.song else ""
    if link.time:
        title = f" It is {link.time.spoken}."
    text = f"{dice.choice(OPENERS)} {dice.choice(MIDDLES)}.{title}"
    while len(text.split()) < sum(link.words) // 2 - 4:
        text += " " + dice.choice([*ENDS, *(f"{m[0].upper()}{m[1:]}." for m in MIDDLES)])
    return text


def good(link: Any, dice: random.Random) -> int:
    """A score that mostly passes."""
    return dice.choice((6, 7, 8, 8, 9, 9, 9))


def fill(
    job: Job,
    script: Callable[[Any, random.Random], str] = script_for,
    score: Callable[[Any, random.Random], int] = good,
    only: Sequence[str] = ("generate", "audit"),
    seed: int = 0,
) -> None:
    """Answer whatever the LLM stages of `job` ask for, round after round, until nothing is left to ask."""
    job.open()
    dice = random.Random(seed)
    try:
        with Committer() as committer:
            tasks = [Task(job, stage) for stage in job.stages if stage.name in only]
            while any([_answer(task, committer, script, score, dice) for task in tasks]):
                pass
            for task in tasks:
                rows = len(task.shards)
                figures = {
                    "stage": task.stage.name,
                    "seconds": 4.5,
                    "rows": rows,
                    "errors": 0,
                    "work_s": 2.5,
                    "engine_load_s": 1.6,
                    "engine_close_s": 0.4,
                    "memory_footprint_mib": 900.0,
                    "engines": 1,
                    "memory_returned_mib": 880.0,
                    "input_tokens": 600 * rows,
                    "output_tokens": 40 * rows,
                }
                timing = make_record("timings", f"{task.stage.name}@{time.time_ns()}", {}, output=figures)
                job.checkpoint.append(committer, "timings", timing, lambda: None)
                time.sleep(0.01)
    finally:
        job.checkpoint.close()


def _answer(task: Task, committer: Committer, script: Any, score: Any, dice: random.Random) -> int:
    answered = 0
    for pending in list(task.pending()):
        request = pending.request
        if task.stage.name == "generate":
            text = script(request.context, dice)
        else:
            rubric = task.stage.desk.rubric(request.context.link.kind)
            level = score(request.context.link, dice)
            scores = {c.name: max(1, min(10, level + dice.choice((-1, 0, 0, 1)))) for c in rubric.criteria}
            issues = [] if level > 7 else ["it could be anybody's voice", "says nothing of the song"][: 9 - level]
            text = orjson.dumps({"issues": issues, "notes": "", **scores}).decode()
        value = {"text": text, "finish_reason": "stop"}
        usage = {"input_tokens": 600, "output_tokens": len(text.split())}
        made, error = None, None
        try:
            made = task.stage.output(request, Output(request.key, value, usage))
        except RowError as e:
            error = e.to_dict()
        record = make_record(task.stage.name, request.key, pending.inputs, output=made, error=error, usage=usage)
        task.job.checkpoint.append(committer, task.stage.name, record, lambda: None)
        answered += 1
    committer.flush()
    return answered


def go(job: Job) -> Job:
    """Run a job's stages for real."""
    try:
        with Display(quiet=True) as display, StopFlag() as stop:
            run([job], display, stop)
    finally:
        job.checkpoint.close()
    return job


def make(path: Path, *overrides: str, speak: bool = True, **answers: Any) -> Path:
    """A whole checkpoint: written, audited, spoken where `speak`, reported."""
    fill(compose_job(path, *overrides, stages="[generate,audit]"), **answers)
    go(compose_job(path, *overrides, stages="[audio,report]" if speak else "report"))
    return path
