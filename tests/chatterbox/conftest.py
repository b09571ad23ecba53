"""Checkpoints shared by the Chatterbox tests, written once per session."""

from __future__ import annotations

import pytest

from tests.chatterbox import weights


@pytest.fixture(scope="session")
def original_t3(tmp_path_factory):
    """Folder with the Original's T3, 4 layers."""
    return weights.write_original(tmp_path_factory.mktemp("original"))


@pytest.fixture(scope="session")
def turbo_t3(tmp_path_factory):
    """Folder with Turbo's T3, 4 layers."""
    return weights.write_turbo(tmp_path_factory.mktemp("turbo"))


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
def original_folder(original_t3):
    """A whole Original checkpoint: T3 of 4 layers, S3Gen and voice encoder at full size, a built-in voice."""
    from tests.chatterbox.s3gen_weights import write_waveform_half

    return write_waveform_half(original_t3, "original")


@pytest.fixture(scope="session")
def turbo_folder(turbo_t3):
    """A whole Turbo checkpoint, likewise."""
    from tests.chatterbox.s3gen_weights import write_waveform_half

    return write_waveform_half(turbo_t3, "turbo")
