"""Upstream's models: what tells one Chatterbox from another, in files, in T3 and in conditioning.

Upstream: `from_local` and `from_pretrained` in `tts.py`, `tts_turbo.py`, `mtl_tts.py`. The pinned chatterbox-tts 0.1.7
has no Nano (no `nano=True`), so there is no variant for it.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import UserError


@dataclass(frozen=True)
class Variant:
    """One of upstream's models.

    Attributes:
        name: what configs call it.
        repo: hub id used when no source is given.
        t3: file name of T3's weights.
        layer: name of a tensor of one of T3's layers, `{}` for its number.
        guided: T3 has classifier-free guidance, here two halves in one sequence.
        tokenizer: file T3's text tokenizer is read from.
        s3gen, voice_encoder: file names; alternatives in order of preference.
        meanflow: S3Gen is Turbo's distilled one.
        prompt_seconds, prompt_tokens: how much of a clip T3 hears, and the most speech tokens of it.
        min_seconds: clips must be longer than this.
        loudness: LUFS the clip is brought to first; None to leave it.
    """

    name: str
    repo: str
    t3: str
    layer: str
    guided: bool
    tokenizer: str
    s3gen: tuple[str, ...]
    voice_encoder: tuple[str, ...]
    meanflow: bool
    prompt_seconds: int
    prompt_tokens: int
    min_seconds: float
    loudness: float | None = None


_LLAMA, _GPT2 = "tfmr.layers.{}.mlp.up_proj.weight", "tfmr.h.{}.mlp.c_fc.weight"
_SHORTEST = 3.0  # upstream sets no limit here; less than this leaves half the voice prompt empty
VARIANTS = {
    v.name: v
    for v in (
        Variant(
            "original", "ResembleAI/chatterbox", "t3_cfg.safetensors", _LLAMA, True, "tokenizer.json",
            ("s3gen.safetensors",), ("ve.safetensors",), False, 6, 150, _SHORTEST,
        ),
        Variant(
            "turbo", "ResembleAI/chatterbox-turbo", "t3_turbo_v1.safetensors", _GPT2, False, "tokenizer_config.json",
            ("s3gen_meanflow.safetensors",), ("ve.safetensors",), True, 15, 375, 5.0, -27.0,
        ),
        Variant(
            "multilingual", "ResembleAI/chatterbox", "t3_mtl23ls_v2.safetensors", _LLAMA, True,
            "grapheme_mtl_merged_expanded_v1.json", ("s3gen.pt", "s3gen.safetensors"), ("ve.pt", "ve.safetensors"),
            False, 6, 150, _SHORTEST,
        ),
    )
}  # fmt: skip


def variant_named(name: str) -> Variant:
    """The variant called `name`.

    Raises:
        UserError: if there is none.
    """
    if name not in VARIANTS:
        hint = "chatterbox-tts 0.1.7 has no Nano" if "nano" in name else f"one of {', '.join(VARIANTS)}"
        raise UserError(f"unknown Chatterbox variant {name!r}", fix=hint)
    return VARIANTS[name]
