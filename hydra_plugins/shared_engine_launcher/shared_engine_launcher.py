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


class ComposedOnce:
    """A config loader that keeps what a sweeper composes only to see that it can be, for the launcher to take.

    A compose of this project's configs is a sixth of a second, which a sweep of a hundred points would pay twice.
    """

    def __init__(self, loader: Any):
        self._loader = loader
        self._kept: dict[tuple[str, ...], DictConfig] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """As Hydra's."""
        config = self._loader.load_sweep_config(master_config=master_config, sweep_overrides=sweep_overrides)
        self._kept[tuple(sweep_overrides)] = config
        return config

    def take(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """What was composed for these overrides, once; composed now where it was not."""
        config = self._kept.pop(tuple(sweep_overrides), None)
        return config if config is not None else self._loader.load_sweep_config(master_config, sweep_overrides)


class SharedEngineLauncher(Launcher):
    """Runs all jobs a sweeper asks for at once through shared engines; the work is `engine.sweep.launch`."""

    def __init__(self, **_: Any):
        self.context: HydraContext | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra before `launch`."""
        hydra_context.config_loader = ComposedOnce(hydra_context.config_loader)
        self.context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs; returns one result for each, in order."""
        from engine.sweep import launch

        return launch(self.context, self.config, self.task_function, job_overrides, initial_job_idx)
