"""Speech tokens to mel spectrograms for a ragged batch: upstream's flow modules, driven with every row's own length.

Follows `chatterbox/models/s3gen/flow.py` (`CausalMaskedDiffWithXvec.inference`), `transformer/upsample_encoder.py`,
`flow_matching.py` (`CausalConditionalCFM`) and `decoder.py` (`ConditionalDecoder.forward`). Those run one utterance at
a time; given a batch they concatenate prompt and tokens without packing and cut all rows at one prompt length. Here

* each row's voice prompt and tokens are packed together and padded on the right;
* padding is zeroed before the encoder's look-ahead convolution, the only module that reads to the right;
* noise comes from each row's own generator, in upstream's order, so a row does not depend on its neighbours;
* attention masks are boolean keys made once a batch (none at all where nothing is padded): upstream rebuilds a bias for
  every block through `add_optional_chunk_mask`, which waits for the device 14 times an estimator call.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from chatterbox.models.s3gen.decoder import ConditionalDecoder
    from chatterbox.models.s3gen.flow import CausalMaskedDiffWithXvec

ENCODER_SCORES = 2**28  # relative-attention scores held at once; the encoder's are the only quadratic tensors


class Draws:
    """The random numbers of one utterance, in the order upstream draws them after `torch.manual_seed(seed)`.

    Upstream draws everything on the model's device except the sine phases, which it draws on the host.
    """

    def __init__(self, seed: int, device: torch.device | str):
        self.device = torch.device(device)
        self.host = torch.Generator().manual_seed(seed)
        self.own = self.host if self.device.type == "cpu" else torch.Generator(self.device).manual_seed(seed)

    def normal(self, *shape: int) -> torch.Tensor:
        """Standard normal noise of `shape` on the device."""
        return torch.randn(shape, generator=self.own, device=self.device)

    def uniform_on_host(self, *shape: int) -> torch.Tensor:
        """Uniform numbers in [0, 1) of `shape`, drawn on the host."""
        return torch.rand(shape, generator=self.host)


@dataclass(frozen=True)
class Row:
    """One utterance ready for the flow.

    Attributes:
        tokens: (T,) int64 speech tokens on the host, all below the flow's vocabulary.
        voice: of upstream's reference dict: `prompt_token` (1, P) int64 on the host, `prompt_feat` (1, F, 80) and
            `embedding` (1, 192) on the device.
        draws: source of this row's noise.
    """

    tokens: torch.Tensor
    voice: Mapping[str, Any]
    draws: Draws

    @property
    def total_tokens(self) -> int:
        """Prompt and speech tokens together."""
        return self.voice["prompt_token"].shape[1] + self.tokens.shape[0]

    @property
    def prompt_frames(self) -> int:
        """Mel frames of the voice prompt; may be one more than twice its tokens."""
        return self.voice["prompt_feat"].shape[1]


def keep_mask(lengths: Sequence[int], size: int, device: torch.device) -> torch.Tensor | None:
    """(B, size) bool, True inside each row; None where every row is `size` long."""
    if all(n == size for n in lengths):
        return None
    return torch.arange(size, device=device)[None] < torch.tensor(lengths, device=device)[:, None]


@torch.inference_mode()
def flow_mels(
    flow: CausalMaskedDiffWithXvec,
    rows: Sequence[Row],
    steps: int,
    meanflow: bool,
    autocast: torch.dtype | None = None,
) -> list[torch.Tensor]:
    """Mel spectrograms (80, frames) of `rows`, prompt frames cut off; frames = 2·(P+T) − prompt frames.

    Args:
        steps: Euler steps (upstream: 10 for the Original, 2 for Turbo).
        meanflow: Turbo's distilled flow: no classifier-free guidance, start noise drawn twice.
        autocast: run the estimator, and only it, under autocast of this type.
    """
    device = flow.input_embedding.weight.device
    ratio = flow.token_mel_ratio
    lengths = [ratio * row.total_tokens for row in rows]
    size = max(lengths)
    mu = _encode(flow, rows).transpose(1, 2)  # (B, 80, size)
    keep = keep_mask(lengths, size, device)
    if keep is not None:
        mu = mu * keep[:, None]

    bins = mu.shape[1]
    cond, noise = torch.zeros_like(mu), torch.zeros_like(mu)
    for i, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        cond[i, :, : row.prompt_frames] = row.voice["prompt_feat"][0].T
        tail = row.draws.normal(1, bins, ratio * row.tokens.shape[0])[0] if meanflow else None
        noise[i, :, :length] = row.draws.normal(1, bins, length)[0]
        if tail is not None:
            noise[i, :, length - tail.shape[1] : length] = tail
    embedding = torch.cat([row.voice["embedding"].reshape(1, -1) for row in rows]).to(mu)
    speaker = flow.spk_embed_affine_layer(F.normalize(embedding, dim=1))

    mels = _solve(flow.decoder, noise, mu, speaker, cond, keep, steps, meanflow, autocast)
    return [mels[i, :, row.prompt_frames : n] for i, (row, n) in enumerate(zip(rows, lengths, strict=True))]


def _encode(flow: CausalMaskedDiffWithXvec, rows: Sequence[Row]) -> torch.Tensor:
    """Encoder output (B, 2·max tokens, 80) of prompt and tokens; rows go in parts small enough for their scores."""
    device, size = flow.input_embedding.weight.device, max(row.total_tokens for row in rows)
    heads = flow.encoder.encoders[0].self_attn.h
    part = max(1, ENCODER_SCORES // (heads * 2 * (flow.token_mel_ratio * size) ** 2))
    tokens = torch.zeros(len(rows), size, dtype=torch.long)
    for i, row in enumerate(rows):
        tokens[i, : row.total_tokens] = torch.cat([row.voice["prompt_token"][0], row.tokens])
    tokens = tokens.to(device)
    return torch.cat(
        [
            _encode_part(flow, tokens[i : i + part], [row.total_tokens for row in rows[i : i + part]])
            for i in range(0, len(rows), part)
        ]
    )


def _encode_part(flow: CausalMaskedDiffWithXvec, tokens: torch.Tensor, lengths: list[int]) -> torch.Tensor:
    """`UpsampleConformerEncoder.forward` and `encoder_proj`, with padding zeroed before the look-ahead layer."""
    encoder, size, stride = flow.encoder, tokens.shape[1], flow.token_mel_ratio
    x = flow.input_embedding(tokens)
    keep = keep_mask(lengths, size, tokens.device)
    long_keep = keep_mask([stride * n for n in lengths], stride * size, tokens.device)
    every = torch.ones((0, 0, 0), dtype=torch.bool)  # upstream's spelling of "no mask"
    mask = every if keep is None else keep[:, None]
    long_mask = every if long_keep is None else long_keep[:, None]

    x, positions, _ = encoder.embed(x, mask)
    if keep is not None:
        x = x * keep[..., None]
    x = encoder.pre_lookahead_layer(x)
    x = encoder.forward_layers(x, mask, positions, mask)
    x, _ = encoder.up_layer(x.transpose(1, 2).contiguous(), torch.tensor(lengths))
    x, positions, _ = encoder.up_embed(x.transpose(1, 2).contiguous(), long_mask)
    x = encoder.forward_up_layers(x, long_mask, positions, long_mask)
    if encoder.normalize_before:
        x = encoder.after_norm(x)
    return flow.encoder_proj(x)


def _solve(cfm, x, mu, speaker, cond, keep, steps, meanflow, autocast) -> torch.Tensor:
    """Euler from noise `x` (B, 80, T) to mels, as `solve_euler` (Original, CFG as 2B rows) or `basic_euler` (Turbo)."""
    net, rate = cfm.estimator, cfm.inference_cfg_rate
    times = torch.linspace(0, 1, steps + 1, device=x.device, dtype=x.dtype)
    if not meanflow and cfm.t_scheduler == "cosine":
        times = 1 - torch.cos(times * 0.5 * torch.pi)
    fixed = torch.cat([mu, speaker[..., None].expand(-1, -1, mu.shape[2]), cond], dim=1)
    if not meanflow:
        fixed = torch.cat([fixed, torch.zeros_like(fixed)])
        keep = None if keep is None else torch.cat([keep, keep])
    cast = torch.autocast(x.device.type, autocast) if autocast else contextlib.nullcontext()
    embedded = _embed_times(net, times, meanflow)
    for i in range(steps):
        state = x if meanflow else torch.cat([x, x])
        with cast:
            slope = estimate(net, torch.cat([state, fixed], dim=1), embedded[i : i + 1], keep).to(x.dtype)
        if not meanflow:
            guided, free = slope.chunk(2)
            slope = (1.0 + rate) * guided - rate * free
        x = x + (times[i + 1] - times[i]) * slope
    return x


def _embed_times(net: ConditionalDecoder, times: torch.Tensor, meanflow: bool) -> torch.Tensor:
    """Time embeddings (steps, 1024) of all Euler steps at once."""
    embedded = net.time_mlp(net.time_embeddings(times).to(times.dtype))
    if not meanflow:
        return embedded[:-1]
    return net.time_embed_mixer(torch.cat([embedded[:-1], embedded[1:]], dim=1))


def estimate(net: ConditionalDecoder, x: torch.Tensor, time: torch.Tensor, keep: torch.Tensor | None) -> torch.Tensor:
    """`ConditionalDecoder.forward` for packed input.

    Args:
        x: (B, 320, T): state, encoder output, speaker and prompt mel, stacked as upstream packs them.
        time: (1, 1024) embedding of the step.
        keep: (B, T) bool, None where nothing is padded.

    Returns:
        (B, 80, T), zero in the padding.
    """
    mask = torch.ones(1, 1, 1, device=x.device, dtype=x.dtype) if keep is None else keep[:, None].to(x.dtype)
    keys = None if keep is None else keep[:, None, None]
    ((resnet, blocks, down),) = net.down_blocks
    x = skip = _stage(resnet, blocks, x, mask, time, keys)
    x = down(x * mask)
    for resnet, blocks in net.mid_blocks:
        x = _stage(resnet, blocks, x, mask, time, keys)
    ((resnet, blocks, up),) = net.up_blocks
    x = _stage(resnet, blocks, torch.cat([x, skip], dim=1), mask, time, keys)
    x = net.final_block(up(x * mask), mask)
    return net.final_proj(x * mask) * mask


def _stage(resnet, blocks, x, mask, time, keys) -> torch.Tensor:
    """One resnet and its transformer blocks, (B, C, T) to (B, C, T)."""
    x = resnet(x, mask, time).transpose(1, 2).contiguous()
    for block in blocks:
        x = x + _attend(block.attn1, block.norm1(x), keys)
        x = x + block.ff(block.norm3(x))
    return x.transpose(1, 2).contiguous()


def _attend(attention, x: torch.Tensor, keys: torch.Tensor | None) -> torch.Tensor:
    """diffusers' plain self-attention without its per-call mask bookkeeping; `keys` is (B, 1, 1, T) bool."""
    heads = [
        layer(x).unflatten(-1, (attention.heads, -1)).transpose(1, 2)
        for layer in (attention.to_q, attention.to_k, attention.to_v)
    ]
    mixed = F.scaled_dot_product_attention(*heads, attn_mask=keys, scale=attention.scale)
    return attention.to_out[0](mixed.transpose(1, 2).flatten(2))
