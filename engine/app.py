"""One run from a composed config to its exit; the points of a sweep are in `engine.sweep`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from engine import config as config_module
from engine.chatter import diverted
from engine.errors import EngineError, UserError
from engine.job import Job
from engine.overrides import command
from engine.plan import Task
from engine.progress import Display
from engine.ranges import check_ranges
from engine.stop import StopFlag, Stopped
from engine.vllm_args import check_engine_args, check_sampling

STAGE_HELP = """Nothing to do: say which stages to run.

  +stage=generate   write a script for every link with the writer LLM
  +stage=audit      score every script with the auditor LLM and the rubric's rules
  +stage=audio      speak what passed, master it and write the files
  +stage=report     summary, page and playlists of everything the checkpoint holds
  +stage=review     listen and decide in the browser
  +stage=all        all of these, rewriting what fails its audit
  +stage=lint       check every prompt of a station before any model is loaded
  +stage=import     make a station of station.music=DIR|TABLE in station.path=DIR
  +stage=calibrate  hold the auditor against scripts that people labelled
  +stage=a,b        a list of your own

  python -m engine +stage=all          runs the sample station with the embedded demo models
  python -m engine --help              lists config groups and more examples"""


def run_one(config: DictConfig) -> float | None:
    """Run one composed config in Hydra's run folder.

    Returns:
        The figure `config.objective` names; None for a dry run or where no stage made it.

    Raises:
        UserError: the config or the user's files are wrong.
        EngineError: an engine or the machine failed, or some rows ended as errors.
    """
    config_module.register()
    if not config.stages:
        print(STAGE_HELP)
        return None
    hydra = HydraConfig.get()
    job = make_job(config, hydra.runtime.output_dir)
    if config.dry_run:
        show_plan(job)
        return None
    _run([job], list(hydra.overrides.task), config.quiet)
    if errors := job.figures.get("errors"):
        raise EngineError(
            f"finished, but {errors} links ended as errors: report/summary.json has their causes, retry_errors=true "
            "takes them up again"
        )
    return job.objective()


def make_job(config: DictConfig, path: str, label: str = "") -> Job:
    """A job of a composed config, with everything that can be checked before an engine is loaded checked.

    Raises:
        UserError: the first thing found wrong, or all bad rows of a file together.
    """
    check_ranges(config)
    for name in config_module.LLMS:
        llm = OmegaConf.select(config, name)
        if not OmegaConf.is_missing(llm, "model") and llm.model is not None:
            check_engine_args(llm.engine, name)
            check_sampling(llm.sampling, name)
            _check_model(llm.model, name)
    return Job(config, path, label)


def _check_model(model: str, name: str) -> None:
    """A path that is not there is found now; a hub id cannot be checked without the hub."""
    folder = Path(model).expanduser()
    if model.startswith(("/", "./", "../", "~")) and not folder.is_dir():
        raise UserError("no such model folder", f"{name}.model={model}", "name a folder or a hub id")
    if folder.is_dir() and not any((folder / f).is_file() for f in ("config.json", "params.json")):
        raise UserError("no model: it has no config.json", f"{name}.model={model}", "name a model's own folder")


def _run(jobs: Sequence[Job], overrides: list[str], quiet: bool) -> None:
    from engine.runner import run

    path = jobs[0].checkpoint.path
    again = command(overrides, _relative(path))
    with Display(quiet=quiet) as display:
        with StopFlag(lambda: display.warn("stopping after this step (again to stop at once)")) as stop:
            try:
                with diverted(path / "engine.log"):
                    run(list(jobs), display, stop)
            except Stopped as e:
                display.say(f"Stopped. What is finished is kept; to go on:\n  {again}")
                sys.exit(e.exit_code)
            except EngineError:
                display.say(f"What is finished is kept; to go on:\n  {again}")
                raise
            finally:
                for job in jobs:
                    job.checkpoint.close()
        for job in jobs:
            for renderable in job.shared.get("screens", ()):
                display.print(renderable)
        if any(stage.backend() or stage.needs for stage in jobs[0].stages):  # else there is nothing to go on with
            display.say(f"Resume or extend this run:\n  {again}")


def show_plan(job: Job) -> None:
    """Print what a run would do, from the checkpoint and the prompts alone."""
    job.require_inputs()
    print(f"dry run: {job.checkpoint.path}")
    for stage in job.stages:
        task = Task(job, stage)
        if task.spec is None:
            print(f"  {stage.name}: at the end")
            continue
        print(f"  {stage.name}: {task.survey()}{_estimate(stage)}")


def _estimate(stage: Any) -> str:
    estimate = getattr(stage, "estimate", None)
    text = estimate() if estimate else ""
    return f"; {text}" if text else ""


def _relative(path: Path) -> str:
    """The path as the user would type it."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


__all__ = ["UserError", "make_job", "run_one", "show_plan"]
