"""Finding Chatterbox weights: every damaged folder is refused in plain lines, before anything heavy is loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from engine.errors import UserError
from stages.tts.chatterbox.checkpoint import locate, read_state
from stages.tts.chatterbox.s3gen import load_s3gen
from tests.chatterbox.weights import link_files


@pytest.fixture
def copy_of(tmp_path):
    """A folder with links to another's files, some of them left out."""

    return lambda folder, without=(): link_files(folder, tmp_path, without)


def refusal(variant: str, source: str | Path) -> str:
    with pytest.raises(UserError) as e:
        locate(variant, str(source))
    return str(e.value)


def replace(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def test_a_whole_folder_is_found(turbo_folder, t3_cache):
    found = locate("turbo", str(turbo_folder))
    assert found.folder == turbo_folder and found.s3gen.name == "s3gen_meanflow.safetensors"
    assert found.built_in_voice and found.built_in_voice.name == "conds.pt"
    assert found.conditioning_identity(t3_cache) == locate("turbo", str(turbo_folder)).conditioning_identity(t3_cache)


@pytest.mark.parametrize("name", ["s3gen_meanflow.safetensors", "ve.safetensors", "t3_turbo_v1.safetensors"])
def test_a_missing_file_is_named_with_its_folder(turbo_folder, copy_of, name):
    folder = copy_of(turbo_folder, without=(name,))
    message = refusal("turbo", folder)
    assert name in message and str(folder) in message and "\n" not in message


def test_all_missing_files_are_named_at_once(turbo_folder, copy_of):
    names = ("s3gen_meanflow.safetensors", "ve.safetensors", "t3_turbo_v1.safetensors")
    lines = refusal("turbo", copy_of(turbo_folder, without=names)).splitlines()
    assert len(lines) == 3 and all(any(n in line for line in lines) for n in names)


def test_a_folder_without_a_voice_is_fine(turbo_folder, copy_of):
    assert locate("turbo", str(copy_of(turbo_folder, without=("conds.pt",)))).built_in_voice is None


def test_files_cut_short_and_files_of_another_kind_are_refused(turbo_folder, copy_of):
    folder = copy_of(turbo_folder)
    path = folder / "ve.safetensors"
    whole = path.read_bytes()
    for content in (whole[:-100], whole[:4], b"", b"<html>not found</html>", whole[:20]):
        replace(path, content)
        assert "cut short" in refusal("turbo", folder)


def test_the_weights_of_another_part_or_variant_are_refused(turbo_folder, original_folder, copy_of):
    folder = copy_of(turbo_folder)
    (folder / "s3gen_meanflow.safetensors").unlink()
    (folder / "s3gen_meanflow.safetensors").symlink_to(original_folder / "s3gen.safetensors")
    (folder / "ve.safetensors").unlink()
    (folder / "ve.safetensors").symlink_to(turbo_folder / "t3_turbo_v1.safetensors")
    message = refusal("turbo", folder)
    assert "S3Gen of the Original" in message and "not the voice_encoder weights" in message


def test_sources_that_are_nothing_are_refused(tmp_path):
    assert "no such folder" in refusal("turbo", tmp_path / "absent")
    assert "no such folder" in refusal("turbo", "./absent")
    assert "unknown Chatterbox variant 'tubro'" in refusal("tubro", tmp_path)
    assert "no Nano" in refusal("nano", tmp_path)


def test_a_hub_model_that_cannot_be_fetched_is_one_line(tmp_path):
    """In a process of its own: the hub library reads its settings when it is imported."""
    code = (
        "from stages.tts.chatterbox.checkpoint import locate\n"
        "from engine.errors import UserError\n"
        "import sys\n"
        "try: locate('turbo', 'nobody/nothing')\n"
        "except UserError as e: print(e)\n"
        "assert 'torch' not in sys.modules\n"
    )
    env = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PATH": "", "PYTHONPATH": "."}
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    (line,) = run.stdout.splitlines()
    assert line.startswith("nobody/nothing: cannot fetch the weights") and "local folder" in line


class _Code:
    def __reduce__(self):
        return eval, ("__import__('os').environ.__setitem__('WEIGHTS_WERE_RUN', '1')",)


def test_weights_in_a_pickle_cannot_run_code(tmp_path):
    import os

    torch.save({"w": _Code()}, tmp_path / "s3gen.pt")
    with pytest.raises(UserError, match="cannot read the weights"):
        read_state(tmp_path / "s3gen.pt")
    assert "WEIGHTS_WERE_RUN" not in os.environ


def test_weights_that_lack_tensors_or_have_other_shapes_are_refused(turbo_folder, copy_of):
    from safetensors.torch import load_file, save_file

    folder = copy_of(turbo_folder)
    path = folder / "s3gen_meanflow.safetensors"
    state = load_file(path)
    path.unlink()
    lacking = {k: v for k, v in state.items() if not k.startswith("mel2wav.ups.1")}
    save_file(lacking, path)
    with pytest.raises(UserError, match=r"lack 3 tensors, mel2wav\.ups\.1\.bias first"):
        load_s3gen(locate("turbo", str(folder)), "cpu")
    state["flow.encoder_proj.weight"] = state["flow.encoder_proj.weight"][:40].clone()
    save_file(state, path)
    with pytest.raises(UserError, match="do not fit S3Gen: .*flow.encoder_proj.weight"):
        load_s3gen(locate("turbo", str(folder)), "cpu")


@pytest.mark.slow
def test_the_multilingual_checkpoint_loads_from_pickles(tmp_path):
    from tests.chatterbox.s3gen_weights import write_waveform_half
    from tests.chatterbox.weights import write_multilingual

    write_multilingual(tmp_path, layers=1)
    found = locate("multilingual", str(write_waveform_half(tmp_path, "multilingual")))
    assert found.s3gen.name == "s3gen.pt" and found.voice_encoder.name == "ve.pt"
    model = load_s3gen(found, "cpu", conditioning=False)
    assert not model.meanflow and not hasattr(model, "tokenizer")
