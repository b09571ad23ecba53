"""A small Llama, written so that it trains fast on a CPU, and its export to the files vLLM and transformers load."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from data.demo_models.tokenizer import END, PAD, VOCABULARY


@dataclass(frozen=True)
class Shape:
    """Size of the model; the defaults make 2.2 M parameters."""

    vocabulary: int = VOCABULARY
    width: int = 192
    layers: int = 4
    heads: int = 6
    feed_forward: int = 512
    positions: int = 2048
    theta: float = 10_000.0
    eps: float = 1e-5


class _Block(nn.Module):
    def __init__(self, shape: Shape):
        super().__init__()
        d, f = shape.width, shape.feed_forward
        self.heads = shape.heads
        self.input_layernorm = nn.RMSNorm(d, shape.eps)
        self.post_attention_layernorm = nn.RMSNorm(d, shape.eps)
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            setattr(self, name, nn.Linear(d, d, bias=False))
        self.gate_proj = nn.Linear(d, f, bias=False)
        self.up_proj = nn.Linear(d, f, bias=False)
        self.down_proj = nn.Linear(f, d, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
        batch, length, width = x.shape
        h = self.input_layernorm(x)
        q, k, v = (
            proj(h).view(batch, length, self.heads, -1).transpose(1, 2)
            for proj in (self.q_proj, self.k_proj, self.v_proj)
        )
        q, k = _rotate(q, cos, sin), _rotate(k, cos, sin)
        # plain matmuls: on a CPU quicker here than scaled_dot_product_attention
        scores = (q @ k.transpose(-1, -2)) * (width // self.heads) ** -0.5 + mask
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, width)
        x = x + self.o_proj(mixed)
        h = self.post_attention_layernorm(x)
        return x + self.down_proj(F.silu(self.gate_proj(h)) * self.up_proj(h))


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat((-b, a), -1) * sin


class Llama(nn.Module):
    """Decoder with tied embeddings; parameter names follow transformers' LlamaForCausalLM once exported."""

    def __init__(self, shape: Shape):
        super().__init__()
        self.shape = shape
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.width)
        self.layers = nn.ModuleList(_Block(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.width, shape.eps)
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                deep = name.endswith(("o_proj.weight", "down_proj.weight"))
                nn.init.normal_(weight, std=0.02 / (2 * shape.layers) ** 0.5 if deep else 0.02)
        head = shape.width // shape.heads
        angles = torch.outer(
            torch.arange(shape.positions).float(), shape.theta ** (-torch.arange(0, head, 2).float() / head)
        ).repeat(1, 2)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        blocked = torch.full((shape.positions, shape.positions), -1e9).triu(1)
        self.register_buffer("mask", blocked, persistent=False)

    def forward(self, ids: Tensor, keep: Tensor) -> Tensor:
        """Logits (n, vocabulary) at the `keep` (batch, length; bool) positions of `ids` (batch, length)."""
        length = ids.shape[1]
        x = self.embed_tokens(ids)
        for layer in self.layers:
            x = layer(x, self.cos[:length], self.sin[:length], self.mask[:length, :length])
        return F.linear(self.norm(x[keep]), self.embed_tokens.weight)

    def export(self, folder: Path, weights: Iterable[Tensor] | None = None) -> None:
        """Write `model.safetensors` (bf16; `weights` in the parameters' order instead of them), and the two configs."""
        folder.mkdir(parents=True, exist_ok=True)
        names = [_exported(name) for name, _ in self.named_parameters()]
        tensors = {
            name: weight.detach().to(torch.bfloat16).contiguous()
            for name, weight in zip(names, weights or self.parameters(), strict=True)
        }
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        s, ids = self.shape, token_ids(folder)
        config = {
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "dtype": "bfloat16", "hidden_act": "silu",
            "hidden_size": s.width, "intermediate_size": s.feed_forward, "num_hidden_layers": s.layers,
            "num_attention_heads": s.heads, "num_key_value_heads": s.heads, "head_dim": s.width // s.heads,
            "vocab_size": s.vocabulary, "max_position_embeddings": s.positions, "rms_norm_eps": s.eps,
            "rope_parameters": {"rope_type": "default", "rope_theta": s.theta}, "rope_theta": s.theta,
            "tie_word_embeddings": True, "attention_bias": False, "mlp_bias": False, "use_cache": True,
            "bos_token_id": None, **ids,
        }  # fmt: skip
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
        (folder / "generation_config.json").write_text(json.dumps(ids, indent=2) + "\n", "utf-8")

    def load_exported(self, folder: Path) -> None:
        """Take the weights of an exported model of the same shape."""
        tensors = load_file(folder / "model.safetensors")
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                parameter.copy_(tensors[_exported(name)].float())


def _exported(name: str) -> str:
    for part, group in (("_proj", "self_attn"), ("gate_proj", "mlp"), ("up_proj", "mlp"), ("down_proj", "mlp")):
        if name.split(".")[-2].endswith(part):
            home = group
    if name.endswith("_proj.weight"):
        head, leaf = name.rsplit(".", 2)[0], ".".join(name.rsplit(".", 2)[1:])
        return f"model.{head}.{home}.{leaf}"
    return f"model.{name}"


def token_ids(folder: Path) -> dict[str, int]:
    """Ids of the end and padding tokens of the tokenizer in `folder`."""
    added = {t["content"]: t["id"] for t in json.loads((folder / "tokenizer.json").read_text("utf-8"))["added_tokens"]}
    return {"eos_token_id": added[END], "pad_token_id": added[PAD]}
