"""The entry point: `python -m engine +stage=all`."""

from __future__ import annotations

import os
import sys
import traceback

import hydra
from omegaconf import DictConfig

import engine.config  # noqa: F401  registers schema and resolvers
from engine.errors import VoicetrackError
from engine.explain import explain
from engine.overrides import prepared


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="config")
def job(config: DictConfig) -> float | None:
    """One Hydra job; returns what `objective` names, for a sweeper to optimise."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from engine.app import run_one

    try:
        return run_one(config)
    except Exception as e:
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            raise  # for the launcher and the sweeper to see
        _errors.append(e)  # past Hydra, which would print a line of its own
        return None


_errors: list[Exception] = []


def main() -> None:
    """Run Hydra; an error becomes one line and an exit code, unless HYDRA_FULL_ERROR asks for the traceback."""
    full = os.environ.get("HYDRA_FULL_ERROR", "0") not in ("0", "")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # have Hydra raise rather than print and exit by itself
    sys.argv[1:] = prepared(sys.argv[1:])
    try:
        job()
        if _errors:
            raise _errors[0]
    except SystemExit:
        raise
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as e:
        if full:
            traceback.print_exc()
        error = explain(e)
        print(f"voicetrack: {error}", file=sys.stderr)
        sys.exit(error.exit_code if isinstance(error, VoicetrackError) else 1)


if __name__ == "__main__":
    main()
