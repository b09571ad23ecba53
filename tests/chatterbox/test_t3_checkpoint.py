"""Upstream's checkpoint folders: what is found wrong in them, and what is made of them once."""

from __future__ import annotations

import json
import shutil

import pytest

from engine.errors import UserError
from stages.tts.chatterbox.t3_backend import T3Spec
from stages.tts.chatterbox.t3_checkpoint import open_checkpoint
from stages.tts.chatterbox.weight_files import content_hash
from tests.chatterbox.weights import link_files


@pytest.fixture
def folder(original_t3, tmp_path):
    """A checkpoint folder of its own, its weights linked."""
    return link_files(original_t3, tmp_path / "mine")


def test_a_missing_file_is_named(folder):
    (folder / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"mine: Chatterbox original needs tokenizer\.json here"):
        open_checkpoint(folder, "original")


def test_another_variants_folder_is_recognised(folder):
    with pytest.raises(UserError, match=r"needs t3_turbo_v1.*holds Chatterbox original"):
        open_checkpoint(folder, "turbo")


def test_no_folder_at_all(tmp_path):
    with pytest.raises(UserError, match="no such checkpoint folder"):
        open_checkpoint(tmp_path / "nowhere", "original")


def test_weights_cut_short_are_refused(folder):
    weights = folder / "t3_cfg.safetensors"
    with open(weights, "rb") as file:
        head = file.read(1 << 20)
    weights.unlink()
    weights.write_bytes(head)
    with pytest.raises(UserError, match="cut short"):
        open_checkpoint(folder, "original")
    weights.write_bytes(b"<!doctype html>")
    with pytest.raises(UserError, match="not a readable safetensors file"):
        open_checkpoint(folder, "original")


def test_other_weights_under_the_right_name_are_refused(folder):
    import torch
    from safetensors.torch import save_file

    weights = folder / "t3_cfg.safetensors"
    weights.unlink()
    save_file({"speech_emb.weight": torch.zeros(4, 4)}, weights)
    with pytest.raises(UserError, match=r"not the T3 of Chatterbox original: no tensor \S+"):
        open_checkpoint(folder, "original")


def test_the_engine_folder_is_made_once(folder, tmp_path):
    checkpoint = open_checkpoint(folder, "original")
    made = checkpoint.engine_folder(tmp_path / "cache")
    stamp = (made / "config.json").stat().st_mtime_ns
    config = json.loads((made / "config.json").read_text())
    assert (config["num_hidden_layers"], config["hidden_size"], config["t3_heads"]) == (4, 2048, 16)
    assert open_checkpoint(folder, "original").engine_folder(tmp_path / "cache") == made
    assert (made / "config.json").stat().st_mtime_ns == stamp
    assert [p.name for p in (tmp_path / "cache").iterdir() if p.name.startswith(".")] == []


def test_a_checkpoint_that_moved_is_found_again(folder, tmp_path):
    made = open_checkpoint(folder, "original").engine_folder(tmp_path / "cache")
    (made / "model.safetensors").unlink()
    (made / "model.safetensors").symlink_to(tmp_path / "gone")
    assert open_checkpoint(folder, "original").engine_folder(tmp_path / "cache") == made
    assert (made / "model.safetensors").stat().st_size == (folder / "t3_cfg.safetensors").stat().st_size


def test_identity_is_content_not_place(folder, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(folder, other, symlinks=True)
    cache = str(tmp_path / "cache")
    spec, same = T3Spec(str(folder), cache=cache), T3Spec(str(other), cache=cache)
    assert spec.identity() == same.identity()
    text = (other / "tokenizer.json").read_text()
    (other / "tokenizer.json").unlink()
    (other / "tokenizer.json").write_text(text + " ")
    assert T3Spec(str(other), cache=cache).identity() != spec.identity()


def test_a_file_changed_in_place_is_hashed_again(tmp_path):
    file = tmp_path / "file"
    file.write_text("one")
    first = content_hash(file, tmp_path)
    assert content_hash(file, tmp_path) == first
    file.write_text("three")
    assert content_hash(file, tmp_path) != first
