"""`hydra/launcher=shared_engine`: collects the jobs of a sweep and gives them to `engine.sweep` in one go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

_TARGET = "hydra_plugins.shared_engine_launcher.shared_engine_launcher.SharedEngineLauncher"
ConfigStore.instance().store(
    group="hydra/launcher", name="shared_engine", node={"_target_": _TARGET}, provider="voicetrack"
)


class SharedEngineLauncher(Launcher):
    """Runs all jobs a sweeper asks for at once through shared engines; the work is `engine.sweep.launch`."""

    def __init__(self, **_: Any):
        self.context: HydraContext | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra before `launch`."""
        self.context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs; returns one result for each, in order."""
        from engine.sweep import launch

        return launch(self.context, self.config, self.task_function, job_overrides, initial_job_idx)
