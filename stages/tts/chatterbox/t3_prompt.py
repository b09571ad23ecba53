"""Text and voice to what T3 is prompted with: embeddings, placeholder ids, and for guidance both halves.

Follows `T3.prepare_input_embeds` and the head of `T3.inference` / `inference_turbo` (`chatterbox/models/t3/t3.py`)
and the text handling of `generate()` in `tts.py`, `mtl_tts.py`, `tts_turbo.py`; conditioning modules and tokenizers
are upstream's own. Runs on the CPU in fp32.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import cached_property
from pathlib import Path

import torch
from torch import nn

from engine.errors import RowError, UserError
from stages.tts.chatterbox.t3_checkpoint import T3Checkpoint
from stages.tts.chatterbox.t3_header import START_SPEECH, write_header

KEPT_VOICES = 256


def upstream_config(checkpoint: T3Checkpoint):
    """Upstream's `T3Config` of this checkpoint (as `from_local` sets it up)."""
    from chatterbox.models.t3.modules.t3_config import T3Config

    config = T3Config(text_tokens_dict_size=checkpoint.shapes["text_emb.weight"][0])
    if not checkpoint.variant.guided:
        config.llama_config_name = "GPT2_medium"
        config.speech_tokens_dict_size = checkpoint.shapes["speech_emb.weight"][0]
        config.input_pos_emb = None
        config.speech_cond_prompt_len = 375
        config.use_perceiver_resampler = False
        config.emotion_adv = False
    return config


def load_t3_cond(path: str | Path):
    """The `T3Cond` of a voice file in the form of upstream's `Conditionals.save`.

    Raises:
        UserError: the file is missing or is something else.
    """
    from chatterbox.models.t3.modules.cond_enc import T3Cond

    try:
        return T3Cond(**torch.load(path, map_location="cpu", weights_only=True)["t3"])
    except FileNotFoundError as e:
        raise UserError("no such voice", path, "condition the reference clip first") from e
    except Exception as e:  # whatever unpickling raises of a file that is not one
        raise UserError("not a voice file (upstream's Conditionals)", path, "delete it, it is made again") from e


class T3Prompter(nn.Module):
    """Makes prompts for one checkpoint.

    Args:
        checkpoint: what to read tables and conditioning modules from.
        dtype: what the engine computes in; embeddings are rounded to it last.
    """

    def __init__(self, checkpoint: T3Checkpoint, dtype: torch.dtype = torch.float32):
        from chatterbox.models.t3.modules.cond_enc import T3CondEnc
        from chatterbox.models.t3.modules.learned_pos_emb import LearnedPositionEmbeddings

        super().__init__()
        self.hp, self.dtype, self.guided = upstream_config(checkpoint), dtype, checkpoint.variant.guided
        shapes = checkpoint.shapes
        with torch.device("meta"):
            self.cond_enc = T3CondEnc(self.hp)
            self.text_emb = nn.Embedding(*shapes["text_emb.weight"])
            self.speech_emb = nn.Embedding(*shapes["speech_emb.weight"])
            if self.guided:
                self.text_pos_emb = LearnedPositionEmbeddings(*shapes["text_pos_emb.emb.weight"])
                self.speech_pos_emb = LearnedPositionEmbeddings(*shapes["speech_pos_emb.emb.weight"])
        self._load(checkpoint)
        self.eval().requires_grad_(False)
        self.text_to_ids = _tokenizer(checkpoint, self.hp)
        self._conditioning: OrderedDict[tuple[int, float], tuple[object, torch.Tensor]] = OrderedDict()

    def _load(self, checkpoint: T3Checkpoint) -> None:
        from safetensors import safe_open

        with safe_open(checkpoint.weights, "pt") as file:
            names = set(file.keys())
            lacks = sorted(self.state_dict().keys() - names)
            if lacks:
                raise UserError(f"no tensor {lacks[0]}", checkpoint.weights, "check the file")
            self.load_state_dict({name: file.get_tensor(name).float() for name in self.state_dict()}, assign=True)

    @torch.inference_mode()
    def prompt(
        self, text: str, cond, *, weight: float = 0.0, exaggeration: float = 0.5, language: str | None = None
    ) -> dict:
        """vLLM's `EmbedsPrompt` for one chunk of text.

        Args:
            text: what to say.
            cond: the voice's `T3Cond`.
            weight: guidance weight (guided variants).
            exaggeration: emotion of the delivery (guided variants).
            language: code of the text's language (multilingual).

        Raises:
            RowError: the text cannot be turned into a prompt.
        """
        ids = self.text_to_ids(text, language)
        if ids.shape[1] > self.hp.max_text_tokens:
            raise RowError("text_too_long", f"{ids.shape[1]} text tokens, T3 takes {self.hp.max_text_tokens}")
        voice = self.conditioning(cond, exaggeration)
        spoken = self.text_emb(ids)[0]
        start = self.speech_emb.weight[START_SPEECH][None]
        if self.guided:
            embeds = self.fold(voice, spoken, start)
        else:
            embeds = torch.cat([voice, spoken, start])
        length = len(embeds)
        return {
            "prompt_embeds": embeds.to(self.dtype),
            "prompt_token_ids": write_header(length, weight) if self.guided else [START_SPEECH] * length,
            "prompt_is_token_ids": [False] * length,
        }

    def fold(self, voice: torch.Tensor, text: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
        """Both halves side by side, `[L, 2d]`: the text is zeroed in the second one before its positions are added."""
        position = self.text_pos_emb.emb.weight[: len(text)]
        # Upstream embeds the start token twice, both at speech position 0.
        start = (start + self.speech_pos_emb.emb.weight[:1]).repeat(2, 1)
        cond = torch.cat([voice, text + position, start])
        uncond = torch.cat([voice, self.unspoken(text) + position, start])
        return torch.cat([cond, uncond], dim=-1)

    def unspoken(self, text: torch.Tensor) -> torch.Tensor:
        """The unconditional half's text embeddings."""
        return torch.zeros_like(text)

    def conditioning(self, cond, exaggeration: float) -> torch.Tensor:
        """The voice's rows of the prompt, `[n, d]`; kept, since a voice speaks many chunks."""
        key = (id(cond), exaggeration)
        if key not in self._conditioning:
            from chatterbox.models.t3.modules.cond_enc import T3Cond

            tokens, prompt = cond.cond_prompt_speech_tokens, None
            if tokens is not None:
                prompt = self.speech_emb(tokens)
                if self.guided:
                    prompt = prompt + self.speech_pos_emb(tokens)
            own = T3Cond(
                speaker_emb=cond.speaker_emb.float(),
                cond_prompt_speech_tokens=tokens,
                cond_prompt_speech_emb=prompt,
                emotion_adv=exaggeration * torch.ones(1, 1, 1),
            )
            self._conditioning[key] = (cond, self.cond_enc(own)[0])  # holding cond keeps its id its own
            if len(self._conditioning) > KEPT_VOICES:
                self._conditioning.popitem(last=False)
        return self._conditioning[key][1]


def _tokenizer(checkpoint: T3Checkpoint, hp):
    """`(text, language) -> ids [1, n]`, as upstream's `generate()` makes them."""
    return {"original": _english, "multilingual": _many_languages, "turbo": _gpt2}[checkpoint.variant.name](
        checkpoint, hp
    )


def _bounded(ids: torch.Tensor, hp) -> torch.Tensor:
    ids = nn.functional.pad(ids.long(), (1, 0), value=hp.start_text_token)
    return nn.functional.pad(ids, (0, 1), value=hp.stop_text_token)


def _read(checkpoint: T3Checkpoint, read):
    try:
        return read()
    except Exception as e:  # tokenizers raises a bare Exception of a file it cannot read
        raise UserError(f"not a tokenizer of Chatterbox {checkpoint.variant.name} ({e})", checkpoint.tokenizer) from e


def _english(checkpoint: T3Checkpoint, hp):
    from chatterbox.models.tokenizers import EnTokenizer
    from chatterbox.tts import punc_norm

    tokenizer = _read(checkpoint, lambda: EnTokenizer(str(checkpoint.tokenizer)))

    def encode(text: str, language: str | None) -> torch.Tensor:
        return _bounded(tokenizer.text_to_tokens(punc_norm(text)), hp)

    return encode


def _many_languages(checkpoint: T3Checkpoint, hp):
    from chatterbox.models.tokenizers.tokenizer import ChineseCangjieConverter, MTLTokenizer
    from chatterbox.mtl_tts import SUPPORTED_LANGUAGES, punc_norm
    from tokenizers import Tokenizer

    class LazyTokenizer(MTLTokenizer):
        """Upstream's, but for fetching what Chinese needs (a word list, a segmenter) when Chinese is first spoken."""

        def __init__(self, file: Path):
            self.tokenizer = Tokenizer.from_file(str(file))
            self.check_vocabset_sot_eot()

        @cached_property
        def cangjie_converter(self) -> ChineseCangjieConverter:
            return ChineseCangjieConverter(checkpoint.folder)

    tokenizer = _read(checkpoint, lambda: LazyTokenizer(checkpoint.tokenizer))

    def encode(text: str, language: str | None) -> torch.Tensor:
        code = (language or "").lower()
        if code not in SUPPORTED_LANGUAGES:
            raise RowError("bad_language", f"language {language!r} is none of {', '.join(SUPPORTED_LANGUAGES)}")
        try:
            return _bounded(tokenizer.text_to_tokens(punc_norm(text), language_id=code), hp)
        except OSError as e:
            raise RowError("no_language", f"what {SUPPORTED_LANGUAGES[code]} needs cannot be fetched: {e}") from e

    return encode


def _gpt2(checkpoint: T3Checkpoint, hp):
    from chatterbox.tts_turbo import punc_norm
    from transformers import AutoTokenizer

    tokenizer = _read(checkpoint, lambda: AutoTokenizer.from_pretrained(checkpoint.folder))
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token

    def encode(text: str, language: str | None) -> torch.Tensor:
        return tokenizer(punc_norm(text), return_tensors="pt", padding=True, truncation=True).input_ids

    return encode
