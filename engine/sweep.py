"""A sweep as one batch: what the `shared_engine` launcher does.

Hydra's own `run_job` makes each point's folder, its `.hydra/` and its logging; the task it is given here only takes the
point's config down. Then all points go to `runner.run` together: one engine for each distinct engine config and stage,
all points' requests in one batch, results in each point's own checkpoint. Issued again on the same `hydra.sweep.dir`,
a sweep does only what is missing, because folders are named by overrides and never by number.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, configure_log, run_job, setup_globals
from omegaconf import DictConfig, OmegaConf, open_dict

from engine import config as config_module
from engine.app import STAGE_HELP, make_job, show_plan
from engine.chatter import diverted
from engine.errors import UserError, VoicetrackError
from engine.explain import explain
from engine.job import Job
from engine.progress import Display
from engine.records import digest
from engine.stop import StopFlag, Stopped
from engine.sweep_table import Point, table, write_csv, write_html

LONGEST = 120  # characters of a point's folder name
LONGEST_PART = 44  # characters of one override in it


def point_name(overrides: str) -> str:
    """A folder name for a sweep point: its overrides, in order of keys, safe on any file system.

    Equal overrides in any order give equal names; different ones give different names, also where characters had to
    be replaced or the name cut.
    """
    parts = sorted(part.lstrip("+") for part in overrides.split(",") if part)
    whole = ",".join(parts)
    # A long value (a path) must not push the others out of the name.
    short = (part if len(part) <= LONGEST_PART else part[: LONGEST_PART - 1] + "~" for part in parts)
    name = re.sub(r"[^A-Za-z0-9._=,+~-]+", "_", ",".join(short)).strip(".") or "point"
    if name == whole and len(name) <= LONGEST:
        return name
    return f"{name[:LONGEST].rstrip('._,')}-{digest(whole, 4)}"


def launch(
    context: Any, config: DictConfig, task: Any, job_overrides: Sequence[Sequence[str]], first: int
) -> list[JobReturn]:
    """Run all points of `job_overrides`; arguments and result are those of Hydra's launchers.

    A point's `JobReturn` holds the figure its `objective` names, or the error it failed with.
    """
    setup_globals()
    configure_log(config.hydra.hydra_logging, config.hydra.verbose)
    folder = Path(str(config.hydra.sweep.dir)).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    state = Singleton.get_state()
    returns, jobs = [], []
    try:
        for i, overrides in enumerate(job_overrides):
            resolved, point_folder, returned = _collect(context, config, list(overrides), first + i)
            returns.append(returned)
            jobs.append(_point(resolved, point_folder, list(returned.overrides)))
    finally:
        Singleton.set_state(state)
        configure_log(config.hydra.hydra_logging, config.hydra.verbose)
    if config.get("dry_run"):
        for point in jobs:
            if point.job and not point.error:
                show_plan(point.job)
    else:
        _run(jobs, folder, bool(config.get("quiet")))
    for point, returned in zip(jobs, returns, strict=True):
        error = point.error or (point.job.error if point.job else None)
        try:
            returned.return_value = error or point.job.objective()
        except UserError as e:
            error = returned.return_value = e
        returned.status = JobStatus.FAILED if error else JobStatus.COMPLETED
    return returns


def _collect(context: Any, config: DictConfig, overrides: list[str], number: int) -> tuple[DictConfig, str, JobReturn]:
    """The point's config, resolved while Hydra's own values (`${hydra:…}`) are this point's; and its folder."""
    point = context.config_loader.take(config, overrides)
    with open_dict(point):
        point.hydra.job.id = point.hydra.job.num = number
    taken: list[tuple[DictConfig, str]] = []

    def take(task_config: DictConfig) -> None:
        resolved = task_config.copy()
        OmegaConf.resolve(resolved)
        taken.append((resolved, HydraConfig.get().runtime.output_dir))

    returned = run_job(
        hydra_context=context,
        task_function=take,
        config=point,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )
    returned.return_value  # noqa: B018  raises what the task raised: an interpolation that cannot be resolved
    return *taken[0], returned


def _point(config: DictConfig, folder: str, overrides: list[str]) -> Point:
    label = Path(folder).name
    point = Point(label, overrides, folder)
    try:
        if config.checkpoint.path:
            raise UserError(
                "cannot be set in a sweep: each point has a checkpoint of its own", "checkpoint.path",
                "name the sweep's folder with hydra.sweep.dir=DIR; issue it again on the same one to resume",
            )  # fmt: skip
        if not config.stages:
            raise UserError(STAGE_HELP.splitlines()[0], "stage", "add for example +stage=[generate,audit]")
        point.job = make_job(config, folder, label)
    except VoicetrackError as e:
        point.error = e
    return point


def _run(points: list[Point], folder: Path, quiet: bool) -> None:
    from engine.runner import run

    config_module.register()
    jobs: list[Job] = [point.job for point in points if point.job]
    with Display(quiet=quiet) as display:
        with StopFlag(lambda: display.warn("stopping after this step (again to stop at once)")) as stop:
            try:
                if jobs:
                    with diverted(folder / "engine.log"):
                        run(jobs, display, stop)
            except Stopped as e:
                display.say(f"Stopped. Issue the sweep again with hydra.sweep.dir={folder} to go on.")
                sys.exit(e.exit_code)
            except VoicetrackError as e:
                for job in jobs:
                    job.error = job.error or e
            except Exception as e:
                for job in jobs:
                    job.error = job.error or explain(e)
                raise
            finally:
                for job in jobs:
                    job.checkpoint.close()
        display.print(table(points))
        write_csv(points, folder / "sweep.csv")
        write_html(points, folder / "sweep.html")
        display.say(f"{folder / 'sweep.csv'}, {folder / 'sweep.html'}\nIssue it again with hydra.sweep.dir={folder} "
                    "to resume or to add points.")  # fmt: skip
