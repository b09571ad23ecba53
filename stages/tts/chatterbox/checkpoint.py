"""Chatterbox weights: which files each variant needs, where they are, and whether they are what they should be.

A source is a hub id (`ResembleAI/chatterbox`) or a local folder with upstream's file names. Files are checked by their
headers before anything heavy is loaded, without torch. Pickles (`.pt`) are only ever read with `weights_only=True`.
"""

from __future__ import annotations

import os
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import UserError
from engine.records import digest
from stages.tts.chatterbox.t3_checkpoint import open_checkpoint
from stages.tts.chatterbox.variants import Variant, variant_named
from stages.tts.chatterbox.weight_files import content_hash, tensor_shapes

if TYPE_CHECKING:
    import torch

BUILT_IN_VOICE = "conds.pt"
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_PROOF = {"s3gen": "flow.input_embedding.weight", "voice_encoder": "lstm.weight_ih_l0"}
_TURBO_PROOF = "flow.decoder.estimator.time_embed_mixer.weight"


@dataclass(frozen=True)
class Checkpoint:
    """The files of one variant, found and checked.

    Attributes:
        source: what the user named; `revision` only where that is a hub id.
        folder: where all files are; what `T3Spec` takes.
        built_in_voice: the voice that ships with the weights, None where the folder has none.
    """

    variant: Variant
    source: str
    revision: str | None
    folder: Path
    s3gen: Path
    voice_encoder: Path
    built_in_voice: Path | None

    def conditioning_identity(self, cache: str | os.PathLike[str]) -> str:
        """Hash of the weights that turn a clip into a voice; file hashes are remembered under `cache`."""
        return digest([self.variant.name, content_hash(self.s3gen, cache), content_hash(self.voice_encoder, cache)])


def locate(variant: str, source: str | None = None, revision: str | None = None) -> Checkpoint:
    """Find and check the files of `variant`, fetching them from the hub where `source` is a hub id.

    Raises:
        UserError: the source cannot be had, or files are missing, cut short or of another model; one line each.
    """
    kind = variant_named(variant)
    source = source or kind.repo
    is_folder = _is_folder(source)
    folder = Path(source).expanduser() if is_folder else _fetch(kind, source, revision)
    errors: list[UserError] = []

    def pick(part: str, names: tuple[str, ...]) -> Path:
        path = next((folder / n for n in names if (folder / n).is_file()), None)
        if path is None:
            errors.append(UserError(f"no {' or '.join(names)}", folder, f"Chatterbox {variant} needs it as its {part}"))
            return folder / names[0]
        if problem := _problem(path, part, kind):
            errors.append(UserError(problem, path, "fetch it again"))
        return path

    try:
        open_checkpoint(folder, variant)
    except UserError as e:
        errors.append(e)
    s3gen = pick("s3gen", kind.s3gen)
    voice_encoder = pick("voice_encoder", kind.voice_encoder)
    if errors:
        raise UserError.of_many(errors)
    voice = folder / BUILT_IN_VOICE
    return Checkpoint(
        kind, source, None if is_folder else revision, folder, s3gen, voice_encoder,
        voice if voice.is_file() else None,
    )  # fmt: skip


def _is_folder(source: str) -> bool:
    """Whether `source` names a folder; a path that is not there is the user's mistake, not a hub id."""
    if Path(source).expanduser().is_dir():
        return True
    if HUB_ID.fullmatch(source) and not source.startswith((".", "~")):
        return False
    raise UserError("no such folder of Chatterbox weights", source, "give a folder, or a hub id such as owner/name")


def _fetch(kind: Variant, repo: str, revision: str | None) -> Path:
    """The hub snapshot of `repo`, with the files `kind` needs."""
    import huggingface_hub
    from huggingface_hub import errors as hub

    wanted = [kind.t3, *kind.s3gen[:1], *kind.voice_encoder[:1], BUILT_IN_VOICE, "*.json", "*.txt"]
    try:
        return Path(huggingface_hub.snapshot_download(repo, revision=revision, allow_patterns=wanted))
    except hub.RevisionNotFoundError:
        raise UserError(f"the hub has no revision {revision!r} of it", repo) from None
    except hub.RepositoryNotFoundError:
        raise UserError(
            "the hub has no such model, or it needs a login", repo, "check the id; `hf auth login`"
        ) from None
    except (hub.LocalEntryNotFoundError, hub.HfHubHTTPError, OSError) as e:
        cause = str(e).strip().splitlines()[0] if str(e).strip() else type(e).__name__
        raise UserError(f"cannot fetch the weights: {cause}", repo, "or give a local folder with the files") from None


def _problem(path: Path, part: str, kind: Variant) -> str | None:
    """What is wrong with a weight file, judged by its header; None where nothing is."""
    if path.suffix == ".pt":
        return None if zipfile.is_zipfile(path) else "not a torch file, or cut short"
    try:
        names = tensor_shapes(path)
    except ValueError:
        return "not a safetensors file, or cut short"
    if _PROOF[part] not in names:
        return f"not the {part} weights of Chatterbox: no tensor {_PROOF[part]}"
    if part == "s3gen" and (_TURBO_PROOF in names) != kind.meanflow:
        return f"the S3Gen of {'Turbo' if _TURBO_PROOF in names else 'the Original'}, not of {kind.name}"
    return None


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """All tensors of a weight file, on the CPU; pickles through `weights_only=True`.

    Raises:
        UserError: if it cannot be read.
    """
    import pickle

    import safetensors
    import torch
    from safetensors.torch import load_file

    try:
        if path.suffix == ".pt":
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        return load_file(path)
    except (safetensors.SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError) as e:
        raise UserError(f"cannot read the weights: {str(e).splitlines()[0]}", path, "fetch it again") from None
