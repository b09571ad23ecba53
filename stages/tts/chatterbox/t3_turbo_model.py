"""Chatterbox Turbo's T3 as a vLLM model: GPT-2 over prompt embeddings, with a head of its own that has a bias.

Follows `T3.inference_turbo` (`chatterbox/models/t3/t3.py`): no guidance, no learned speech positions; GPT-2's own
positions run through the whole sequence. Its order of sampling steps is in `t3_turbo_sampling`.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from vllm.config import VllmConfig
from vllm.model_executor.layers.logits_processor import LogitsProcessor
from vllm.model_executor.layers.vocab_parallel_embedding import ParallelLMHead
from vllm.model_executor.model_loader.weight_utils import default_weight_loader
from vllm.model_executor.models.gpt2 import GPT2Model
from vllm.model_executor.models.utils import maybe_prefix

CONV1D = ("c_attn", "c_proj", "c_fc")


class T3TurboForSpeech(nn.Module):
    """T3 with the GPT-2 backbone. Prompts are `[L, d]` embeddings made by `t3_prompt`, outputs are speech tokens."""

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = ""):
        super().__init__()
        config = vllm_config.model_config.hf_config
        self.transformer = GPT2Model(vllm_config=vllm_config, prefix=maybe_prefix(prefix, "transformer"))
        self.speech_head = ParallelLMHead(
            config.vocab_size,
            config.hidden_size,
            bias=True,
            quant_config=vllm_config.quant_config,
            prefix=maybe_prefix(prefix, "speech_head"),
        )
        self.logits_processor = LogitsProcessor(config.vocab_size)

    def embed_input_ids(self, input_ids: torch.Tensor, **_) -> torch.Tensor:
        """Speech embeddings `[N, d]`: upstream's `speech_emb` is this backbone's only table."""
        return self.transformer.embed_input_ids(input_ids.clamp(max=self.logits_processor.vocab_size - 1))

    def forward(self, input_ids, positions, intermediate_tensors=None, inputs_embeds=None, **_) -> torch.Tensor:
        """Hidden states `[N, d]`."""
        return self.transformer(input_ids, positions, intermediate_tensors, inputs_embeds)

    def compute_logits(self, hidden_states: torch.Tensor, *_) -> torch.Tensor | None:
        """Logits over the speech vocabulary."""
        return self.logits_processor(self.speech_head, hidden_states, self.speech_head.bias)

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]]) -> set[str]:
        """Takes upstream's names as they are: the T3 checkpoint needs no conversion."""
        params, loaded = dict(self.named_parameters()), set()
        for name, tensor in weights:
            if name.startswith("tfmr.wte."):
                continue  # GPT-2's text table, which upstream deletes after loading
            name = "transformer.wte.weight" if name == "speech_emb.weight" else name
            if name.startswith("tfmr."):
                name = "transformer." + name.removeprefix("tfmr.")
            if name not in params:
                continue  # conditioning and text tables (used by t3_prompt), the text head, mask buffers
            if name.endswith(".weight") and name.split(".")[-2] in CONV1D:
                tensor = tensor.t()  # transformers' Conv1D keeps its weight transposed
            getattr(params[name], "weight_loader", default_weight_loader)(params[name], tensor)
            loaded.add(name)
        return loaded
