"""Chatterbox's T3 (Original and multilingual) as a vLLM model that holds both halves of guidance in one sequence.

Upstream decodes two rows for each utterance, one with its text and one with the text's embeddings zeroed, and mixes
their logits: `cond + w * (cond - uncond)` (`chatterbox/models/t3/t3.py`, `T3.inference`). Here both rows are one vLLM
sequence whose embeddings are twice as wide, `[cond | uncond]` (the *fold*):

* every linear layer and norm sees `[2N, d]`; attention sees `[N, 2d]`, the two rows as two groups of heads, so neither
  attends to the other;
* `forward` returns `h_c + w * (h_c - h_u)`; the speech head has no bias, so mixing before it is exact;
* `w` and the prompt's length arrive through `t3_header`, once per admission, and reach `forward` as a slot number in
  the upper bits of the M-RoPE positions: RoPE takes the lower bits (true positions, so cached prefixes stay valid),
  the learned speech position of a generated token is `position - length + 1`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

import torch
from torch import nn
from torch.nn import functional
from vllm.compilation.decorators import support_torch_compile
from vllm.config import VllmConfig
from vllm.distributed import get_tensor_model_parallel_world_size
from vllm.model_executor.layers.attention import Attention
from vllm.model_executor.layers.layernorm import RMSNorm
from vllm.model_executor.layers.linear import QKVParallelLinear, RowParallelLinear
from vllm.model_executor.layers.logits_processor import LogitsProcessor
from vllm.model_executor.layers.rotary_embedding import get_rope
from vllm.model_executor.layers.vocab_parallel_embedding import ParallelLMHead
from vllm.model_executor.model_loader.weight_utils import default_weight_loader
from vllm.model_executor.models.interfaces import SupportsMRoPE
from vllm.model_executor.models.llama import LlamaMLP
from vllm.model_executor.models.utils import maybe_prefix

from stages.tts.chatterbox.t3_header import PLACEHOLDERS, SPEECH_VOCAB, read_header

SLOT_SHIFT = 16
SLOTS = 1 << 15
"""Positions are int32 in one of vLLM's runners: 15 bits of slot above 16 bits of position."""
NEVER = 1 << 30


class FoldedAttention(nn.Module):
    """Causal self-attention of both halves at once: `[2N, d]` in and out, 2 × heads inside."""

    def __init__(self, config, rope: dict, cache_config, quant_config, prefix: str):
        super().__init__()
        heads, self.head_dim = config.t3_heads, config.head_dim
        self.width = heads * self.head_dim // get_tensor_model_parallel_world_size()
        hidden = config.t3_hidden_size
        self.qkv_proj = QKVParallelLinear(
            hidden, self.head_dim, heads, heads, bias=False, quant_config=quant_config, prefix=f"{prefix}.qkv_proj"
        )
        self.o_proj = RowParallelLinear(
            heads * self.head_dim, hidden, bias=False, quant_config=quant_config, prefix=f"{prefix}.o_proj"
        )
        self.rotary_emb = get_rope(
            self.head_dim, max_position=config.max_position_embeddings, rope_parameters=rope, is_neox_style=True
        )
        pair = 2 * self.width // self.head_dim
        self.attn = Attention(
            pair,
            self.head_dim,
            self.head_dim**-0.5,
            num_kv_heads=pair,
            cache_config=cache_config,
            quant_config=quant_config,
            prefix=f"{prefix}.attn",
        )

    def forward(self, positions: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        qkv, _ = self.qkv_proj(hidden)
        # Row 2n is cond and row 2n+1 uncond: side by side they are one token's two groups of heads.
        q, k, v = (part.reshape(-1, 2 * self.width) for part in qkv.split(self.width, dim=-1))
        q, k = self.rotary_emb(positions, q, k)
        out, _ = self.o_proj(self.attn(q, k, v).reshape(-1, self.width))
        return out


class FoldedLayer(nn.Module):
    """One Llama layer over `[2N, d]`."""

    def __init__(self, config, rope: dict, cache_config, quant_config, prefix: str):
        super().__init__()
        hidden = config.t3_hidden_size
        self.self_attn = FoldedAttention(config, rope, cache_config, quant_config, f"{prefix}.self_attn")
        self.mlp = LlamaMLP(
            hidden, config.intermediate_size, config.hidden_act, quant_config=quant_config, prefix=f"{prefix}.mlp"
        )
        self.input_layernorm = RMSNorm(hidden, eps=config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(hidden, eps=config.rms_norm_eps)

    def forward(self, positions, hidden, residual):
        if residual is None:
            residual, hidden = hidden, self.input_layernorm(hidden)
        else:
            hidden, residual = self.input_layernorm(hidden, residual)
        hidden = self.self_attn(positions, hidden)
        hidden, residual = self.post_attention_layernorm(hidden, residual)
        return self.mlp(hidden), residual


@support_torch_compile(dynamic_arg_dims={"positions": 0, "pairs": 0})
class FoldedStack(nn.Module):
    """The transformer: `pairs` `[N, 2d]` and true `positions` `[N]` to normed hidden states `[N, 2d]`."""

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = ""):
        super().__init__()
        config = vllm_config.model_config.hf_config
        self.hidden = config.t3_hidden_size
        # The sections are there to switch vLLM's three-row positions on; the rotation itself is plain.
        rope = {name: value for name, value in config.rope_parameters.items() if name != "mrope_section"}
        self.layers = nn.ModuleList(
            FoldedLayer(
                config, rope, vllm_config.cache_config, vllm_config.quant_config, prefix=f"{prefix}.layers.{index}"
            )
            for index in range(config.num_hidden_layers)
        )
        self.norm = RMSNorm(self.hidden, eps=config.rms_norm_eps)

    def forward(self, positions: torch.Tensor, pairs: torch.Tensor) -> torch.Tensor:
        hidden, residual = pairs.reshape(-1, self.hidden), None
        for layer in self.layers:
            hidden, residual = layer(positions, hidden, residual)
        hidden, _ = self.norm(hidden, residual)
        return hidden.reshape(-1, 2 * self.hidden)


class PromptSlots(nn.Module):
    """Numbers for the distinct (prompt length, guidance weight) pairs in use, and their values on the device.

    Slot 0 belongs to rows without a header. A full table gives up the pair least recently admitted; with 32,767
    pairs that is never one still being decoded.
    """

    def __init__(self):
        super().__init__()
        self.register_buffer("length", torch.full((SLOTS,), NEVER, dtype=torch.int64), persistent=False)
        self.register_buffer("weight", torch.zeros(SLOTS, dtype=torch.float32), persistent=False)
        self._of: OrderedDict[tuple[int, float], int] = OrderedDict()

    def number(self, length: int, weight: float) -> int:
        """The slot of this pair."""
        pair = (length, weight)
        slot = self._of.get(pair)
        if slot is None:
            slot = len(self._of) + 1 if len(self._of) < SLOTS - 1 else self._of.popitem(last=False)[1]
            self._of[pair] = slot
            self.length[slot], self.weight[slot] = length, weight
        self._of.move_to_end(pair)
        return slot


class T3ForSpeech(nn.Module, SupportsMRoPE):
    """T3 with the Llama backbone. Prompts are `[L, 2d]` embeddings made by `t3_prompt`, outputs are speech tokens."""

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = ""):
        super().__init__()
        config = vllm_config.model_config.hf_config
        hidden = config.t3_hidden_size
        self.speech_emb = nn.Embedding(SPEECH_VOCAB, hidden)
        self.speech_pos_emb = nn.Embedding(config.t3_speech_positions, hidden)
        self.model = FoldedStack(vllm_config=vllm_config, prefix=maybe_prefix(prefix, "model"))
        self.speech_head = ParallelLMHead(
            SPEECH_VOCAB,
            hidden,
            quant_config=vllm_config.quant_config,
            prefix=maybe_prefix(prefix, "speech_head"),
        )
        self.logits_processor = LogitsProcessor(SPEECH_VOCAB)
        self.slots = PromptSlots()

    def get_mrope_input_positions(self, input_tokens: list[int], mm_features=None, **_) -> tuple[torch.Tensor, int]:
        """Positions `[3, len]` and decode delta of an admitted prompt, its slot in their upper bits."""
        header = read_header(input_tokens)
        base = self.slots.number(*header) << SLOT_SHIFT if header else 0
        # Three real rows: vLLM's CPU rope kernel reads positions without their strides.
        return torch.arange(base, base + len(input_tokens), device="cpu").repeat(3, 1), base

    def embed_input_ids(self, input_ids: torch.Tensor, **_) -> torch.Tensor:
        """Both halves of generated tokens, `[N, 2d]`, before their position; warm-up ids may lie beyond the table."""
        return self.speech_emb(input_ids.clamp(max=SPEECH_VOCAB - 1)).repeat(1, 2)

    def forward(self, input_ids, positions, intermediate_tensors=None, inputs_embeds=None, **_) -> torch.Tensor:
        """Guided hidden states `[N, d]`."""
        packed = positions[0] if positions.dim() == 2 else positions
        slot, position = packed >> SLOT_SHIFT, packed & (1 << SLOT_SHIFT) - 1
        pairs = self.embed_input_ids(input_ids) if inputs_embeds is None else inputs_embeds
        step = position - self.slots.length[slot] + 1
        spoken = self.speech_pos_emb(step.clamp(0, self.speech_pos_emb.num_embeddings - 1))
        pairs = pairs + torch.where((step > 0)[:, None], spoken, 0).repeat(1, 2).to(pairs.dtype)
        cond, uncond = self.model(position, pairs).unflatten(1, (2, -1)).unbind(1)
        weight = self.slots.weight[slot][:, None]
        return (cond + weight * (cond - uncond)).to(cond.dtype)

    def compute_logits(self, hidden_states: torch.Tensor, *_) -> torch.Tensor | None:
        """Logits over the speech vocabulary, -inf for the placeholder ids."""
        logits = self.logits_processor(self.speech_head, hidden_states)
        return None if logits is None else functional.pad(logits, (0, PLACEHOLDERS), value=float("-inf"))

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]]) -> set[str]:
        """Takes upstream's names as they are: the T3 checkpoint needs no conversion."""
        shards = {"q_proj": ("qkv_proj", "q"), "k_proj": ("qkv_proj", "k"), "v_proj": ("qkv_proj", "v")}
        shards |= {"gate_proj": ("gate_up_proj", 0), "up_proj": ("gate_up_proj", 1)}
        params, loaded = dict(self.named_parameters()), set()
        for name, tensor in weights:
            if name.startswith("tfmr."):
                name = "model." + name.removeprefix("tfmr.")
            name = name.replace("speech_pos_emb.emb.", "speech_pos_emb.")
            *front, module, leaf = name.split(".")
            part = ()
            if module in shards:
                module, *part = shards[module]
            name = ".".join([*front, module, leaf])
            if name not in params:
                continue  # conditioning and text tables (used by t3_prompt), the text head
            param = params[name]
            getattr(param, "weight_loader", default_weight_loader)(param, tensor, *part)
            loaded.add(name)
        return loaded
