"""From an upstream checkpoint folder to one vLLM can load: a config.json beside a link to T3's weights.

The weights themselves are not converted: the models take upstream's names while loading. The folder is named by the
content of the weights, made whole before it gets its name, and used by every later run.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import UserError
from engine.records import digest
from stages.tts.chatterbox.t3_header import VOCAB
from stages.tts.chatterbox.variants import VARIANTS, Variant, variant_named
from stages.tts.chatterbox.weight_files import content_hash, tensor_shapes

LAYOUT = 1
"""Part of the folders' names: raised when their config.json changes."""


@dataclass(frozen=True)
class T3Checkpoint:
    """T3's part of an upstream checkpoint folder, found complete.

    Attributes:
        folder: the checkpoint folder.
        variant: which Chatterbox it is.
        shapes: shape of every tensor of the weights file.
        layers: transformer layers it has.
    """

    folder: Path
    variant: Variant
    shapes: dict[str, tuple[int, ...]]
    layers: int

    @property
    def weights(self) -> Path:
        """T3's weights file."""
        return self.folder / self.variant.t3

    @property
    def tokenizer(self) -> Path:
        """The text tokenizer's file."""
        return self.folder / self.variant.tokenizer

    def identity(self, cache: str | os.PathLike[str]) -> str:
        """Hash of the content of weights and tokenizer."""
        tokenizer = [self.tokenizer.name, content_hash(self.tokenizer, cache)]
        if not self.variant.guided and (merges := self.folder / "tokenizer.json").is_file():
            tokenizer.append(content_hash(merges, cache))
        return digest([self.variant.name, content_hash(self.weights, cache), tokenizer])

    def config(self) -> dict[str, Any]:
        """vLLM's config.json: sizes read off the weights, constants from upstream's `llama_configs.py`."""
        return _guided_config(self) if self.variant.guided else _turbo_config(self)

    def engine_folder(self, cache: str | os.PathLike[str]) -> Path:
        """The folder to give to vLLM, made on first use under `cache`."""
        config = self.config()
        name = f"t3-{self.variant.name}-{content_hash(self.weights, cache)}-{digest([LAYOUT, config], 4)}"
        folder = Path(cache).expanduser() / name
        if (folder / "model.safetensors").exists():
            return folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=folder.parent))
        try:
            (making / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
            _link(self.weights.resolve(), making / "model.safetensors")
            if folder.exists():  # its link points to a checkpoint that has since moved
                shutil.rmtree(folder)
            try:
                making.rename(folder)
            except OSError:
                if not (folder / "model.safetensors").exists():  # else another process was quicker
                    raise
        finally:
            shutil.rmtree(making, ignore_errors=True)
        return folder


def open_checkpoint(folder: str | os.PathLike[str], variant: str) -> T3Checkpoint:
    """Look at a checkpoint folder without loading it.

    Raises:
        UserError: a file is missing, is not safetensors, or does not hold this variant's T3.
    """
    kind = variant_named(variant)
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise UserError("no such checkpoint folder", path, "give a folder with upstream's files or a hub id")
    absent = [name for name in (kind.t3, kind.tokenizer) if not (path / name).is_file()]
    if absent:
        other = next((v.name for v in VARIANTS.values() if (path / v.t3).is_file()), None)
        fix = f"it holds Chatterbox {other}" if other else "download the whole checkpoint"
        raise UserError(f"Chatterbox {variant} needs {' and '.join(absent)} here", path, fix)
    try:
        shapes = tensor_shapes(path / kind.t3)
    except ValueError as e:
        raise UserError(f"not a readable safetensors file ({e})", path / kind.t3, "download it again") from e
    layers = next(n for n in range(1 << 16) if kind.layer.format(n) not in shapes)
    wanted = {"speech_emb.weight": 2, "speech_head.weight": 2, "text_emb.weight": 2, "cond_enc.spkr_enc.weight": 2}
    if kind.guided:
        wanted |= {"speech_pos_emb.emb.weight": 2, "text_pos_emb.emb.weight": 2, "cond_enc.emotion_adv_fc.weight": 2}
    else:
        wanted |= {"tfmr.wpe.weight": 2, "speech_head.bias": 1}
    lacks = [name for name, rank in wanted.items() if len(shapes.get(name, ())) != rank]
    if lacks or not layers:
        what = lacks[0] if lacks else kind.layer.format(0)
        raise UserError(f"not the T3 of Chatterbox {variant}: no tensor {what}", path / kind.t3, "check the file")
    return T3Checkpoint(path, kind, shapes, layers)


def _link(source: Path, target: Path) -> None:
    try:
        target.symlink_to(source)
    except OSError:  # a file system without links
        shutil.copyfile(source, target)


def _guided_config(checkpoint: T3Checkpoint) -> dict[str, Any]:
    shapes, hidden = checkpoint.shapes, checkpoint.shapes["speech_emb.weight"][1]
    head_dim = 64
    heads = hidden // head_dim
    return {
        "architectures": ["VoicetrackT3"],
        "model_type": "llama",
        # What vLLM sizes its buffers and cache by: both halves.
        "hidden_size": 2 * hidden,
        "num_attention_heads": 2 * heads,
        "num_key_value_heads": 2 * heads,
        "head_dim": head_dim,
        "t3_hidden_size": hidden,
        "t3_heads": heads,
        "t3_speech_positions": shapes["speech_pos_emb.emb.weight"][0],
        "intermediate_size": shapes["tfmr.layers.0.mlp.up_proj.weight"][0],
        "num_hidden_layers": checkpoint.layers,
        "vocab_size": VOCAB,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": 16384,  # above the rope scaling's original, below 2**16 (t3_model.SLOT_SHIFT)
        "rope_parameters": {
            "rope_type": "llama3",
            "rope_theta": 500000.0,
            "factor": 8.0,
            "high_freq_factor": 4.0,
            "low_freq_factor": 1.0,
            "original_max_position_embeddings": 8192,
            "mrope_section": [head_dim // 4, head_dim // 8, head_dim // 8],
        },
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": False,
        "bos_token_id": None,
        "eos_token_id": None,
        "dtype": "float32",
    }


def _turbo_config(checkpoint: T3Checkpoint) -> dict[str, Any]:
    vocab, hidden = checkpoint.shapes["speech_emb.weight"]
    return {
        "architectures": ["VoicetrackT3Turbo"],
        "model_type": "gpt2",
        "vocab_size": vocab,
        "n_embd": hidden,
        "n_head": hidden // 64,
        "n_layer": checkpoint.layers,
        "n_positions": checkpoint.shapes["tfmr.wpe.weight"][0],
        "n_inner": checkpoint.shapes["tfmr.h.0.mlp.c_fc.weight"][1],
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        "tie_word_embeddings": False,
        "bos_token_id": None,
        "eos_token_id": None,
        "dtype": "float32",
    }
