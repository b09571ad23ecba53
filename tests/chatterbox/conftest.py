"""Checkpoints shared by the Chatterbox tests, written once for all of pytest's processes, and not to be changed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from tests.chatterbox import weights
from tests.chatterbox.s3gen_weights import write_waveform_half


@pytest.fixture(scope="session")
def once(tmp_path_factory) -> Callable[[str, Callable[[Path], None]], Path]:
    """`once(name, make)`: a folder that `make` filled, in whichever process came first; the others wait for it."""
    base = tmp_path_factory.getbasetemp()
    root = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def folder(name: str, make: Callable[[Path], None]) -> Path:
        found, made = root / name, root / f"{name}.made"
        with FileLock(root / f"{name}.lock"):
            if not made.exists():
                make(found)
                made.touch()
        return found

    return folder


@pytest.fixture(scope="session")
def original_t3(once):
    """Folder with the Original's T3, 4 layers."""
    return once("original-t3", weights.write_original)


@pytest.fixture(scope="session")
def turbo_t3(once):
    """Folder with Turbo's T3, 4 layers."""
    return once("turbo-t3", weights.write_turbo)


@pytest.fixture(scope="session")
def t3_voices(tmp_path_factory):
    """Folder of voices: `a` and `b` for the guided variants, `ta` and `tb` for Turbo, prompts of unlike length."""
    folder = tmp_path_factory.mktemp("voices")
    for seed, (name, tokens) in enumerate({"a": 150, "b": 119, "ta": 375, "tb": 241}.items()):
        weights.write_voice(folder / f"{name}.pt", tokens, seed)
    return folder


@pytest.fixture(scope="session")
def t3_cache(tmp_path_factory):
    """Folder for what is made once per checkpoint."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def original_folder(once, original_t3):
    """A whole Original checkpoint: T3 of 4 layers, S3Gen and voice encoder at full size, a built-in voice."""
    return once("original", lambda folder: _whole(folder, original_t3, "original"))


@pytest.fixture(scope="session")
def turbo_folder(once, turbo_t3):
    """A whole Turbo checkpoint, likewise."""
    return once("turbo", lambda folder: _whole(folder, turbo_t3, "turbo"))


def _whole(folder: Path, t3: Path, variant: str) -> None:
    weights.link_files(t3, write_waveform_half(folder, variant))
