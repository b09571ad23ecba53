"""Upstream's T3, one utterance at a time: what ours must equal token for token."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.chatterbox.weights import STOP_SPEECH, depth, t3_config

FILES = {
    "original": "t3_cfg.safetensors",
    "multilingual": "t3_mtl23ls_v2.safetensors",
    "turbo": "t3_turbo_v1.safetensors",
}


def load(folder: Path, variant: str, device: str = "cpu"):
    """Upstream's T3 from a checkpoint folder on `device`, as `from_local` loads it."""
    from chatterbox.models.t3 import T3
    from safetensors.torch import load_file

    state = load_file(Path(folder) / FILES[variant])
    layers = len({name.split(".")[2] for name in state if name.startswith(("tfmr.layers.", "tfmr.h."))})
    with depth(layers):
        t3 = T3(t3_config(variant))
    t3.load_state_dict(state)
    if variant == "turbo":
        del t3.tfmr.wte
    if variant == "multilingual":
        # Upstream watches three attention heads of layers 9 to 13 to end an utterance; we compare T3 without it.
        t3.hp = type("T3", (type(t3.hp),), {"is_multilingual": False})(t3.hp.text_tokens_dict_size)
    return t3.to(device).eval()


@contextmanager
def sampling(temperature: float, seed: int | None) -> Iterator[None]:
    """Inside, upstream's draw is vLLM's: the best token when greedy, else the same noise from the same seed."""
    import torch
    from vllm.v1.sample.ops.topk_topp_sampler import TopKTopPSampler

    generator = torch.Generator().manual_seed(seed or 0)
    sampler = _sampler(TopKTopPSampler)

    def draw(probs, num_samples=1, **_):
        if temperature == 0:
            return probs.argmax(-1, keepdim=True)
        return sampler(probs.log(), {0: generator}, None, None)[0][:, None]

    with patch.object(torch, "multinomial", draw):
        yield


@cache
def _sampler(kind):
    from vllm.platforms import current_platform

    current_platform.import_kernels()
    return kind()


def tokenizer(folder: Path, variant: str):
    """`(text, language) -> ids [1, n]` with upstream's tokenizer and normalisation."""
    import torch.nn.functional as F

    if variant == "turbo":
        from chatterbox.tts_turbo import punc_norm
        from transformers import AutoTokenizer

        gpt2 = AutoTokenizer.from_pretrained(folder)
        gpt2.pad_token = gpt2.eos_token
        return lambda text, _: gpt2(punc_norm(text), return_tensors="pt", padding=True, truncation=True).input_ids
    from chatterbox.models.tokenizers import EnTokenizer, MTLTokenizer
    from chatterbox.tts import punc_norm

    if variant == "multilingual":
        # Upstream fetches what Chinese needs, whatever is spoken.
        with patch("chatterbox.models.tokenizers.tokenizer.ChineseCangjieConverter"):
            many = MTLTokenizer(str(Path(folder) / "grapheme_mtl_merged_expanded_v1.json"))
        encode = lambda text, language: many.text_to_tokens(punc_norm(text), language_id=language)  # noqa: E731
    else:
        english = EnTokenizer(str(Path(folder) / "tokenizer.json"))
        encode = lambda text, _: english.text_to_tokens(punc_norm(text))  # noqa: E731
    return lambda text, language: F.pad(F.pad(encode(text, language), (1, 0), value=255), (0, 1), value=0)


def speak(t3, encode, payload: Mapping[str, Any], variant: str, coupled: bool = True) -> dict[str, Any]:
    """Tokens upstream gives to one request's payload (all sampling parameters named), in the form of our outputs.

    Not `coupled`, it draws as it always does, and nothing of vLLM is imported.
    """
    import torch
    from chatterbox.tts import Conditionals

    said = dict(payload["sampling"])
    cond = Conditionals.load(payload["voice"]).to(t3.device).t3
    ids = encode(payload["text"], payload.get("language")).to(t3.device)
    temperature = said["temperature"] or 1.0
    with sampling(said["temperature"], said.get("seed")) if coupled else nullcontext():
        if variant == "turbo":
            out = t3.inference_turbo(
                t3_cond=cond,
                text_tokens=ids,
                temperature=temperature,
                top_k=said["top_k"],
                top_p=said["top_p"],
                repetition_penalty=said["repetition_penalty"],
                max_gen_len=said["max_tokens"] - 1,
            )
            ended = out.shape[1] < said["max_tokens"]
        else:
            cond.emotion_adv = said["exaggeration"] * torch.ones(1, 1, 1, device=t3.device)
            out = t3.inference(
                t3_cond=cond,
                text_tokens=torch.cat([ids, ids]),
                max_new_tokens=said["max_tokens"],
                temperature=temperature,
                min_p=said["min_p"],
                top_p=said["top_p"],
                repetition_penalty=said["repetition_penalty"],
                cfg_weight=said["cfg_weight"],
            )
            ended = int(out[0, -1]) == STOP_SPEECH
    tokens = [token for token in out[0].tolist() if token < 6561]
    return {"tokens": tokens, "finish_reason": "stop" if ended else "length"}


def speak_all(
    folder: Path, variant: str, payloads: Sequence[Mapping[str, Any]], device: str = "cpu"
) -> list[dict[str, Any]]:
    """`speak` for each payload, with one loaded model."""
    t3, encode = load(folder, variant, device), tokenizer(folder, variant)
    return [speak(t3, encode, payload, variant) for payload in payloads]
