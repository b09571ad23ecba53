"""Turbo's order of sampling steps as a vLLM logits processor.

`T3.inference_turbo` goes temperature, top-k, top-p and only then repetition penalty; vLLM penalises first. The
penalty counts the start token at the first step and only generated tokens afterwards. So the request's own values
travel in `SamplingParams.extra_args["turbo"]`, vLLM's are left neutral, and all four steps happen here.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from vllm import SamplingParams
from vllm.v1.sample.logits_processor import BatchUpdate, LogitsProcessor, MoveDirectionality

from stages.tts.chatterbox.t3_header import START_SPEECH

KEY = "turbo"
VALUES = ("temperature", "top_k", "top_p", "repetition_penalty")


def warp(logits, temperature, top_k, top_p, penalty, seen) -> torch.Tensor:
    """Upstream's `LogitsProcessorList` over a batch.

    Args:
        logits: fp32 `[n, vocab]`.
        temperature, penalty: `[n, 1]`, one value a row, 1 where neutral.
        top_k, top_p: likewise, vocab and 1 where neutral; None where they are so in every row.
        seen: bool `[n, vocab]`, the tokens the penalty counts.
    """
    logits = logits / temperature
    ordered, order = logits.sort(dim=-1)
    vocab = logits.shape[-1]
    if top_k is not None:
        # transformers keeps ties with the k-th largest, hence the comparison by value.
        ordered = ordered.masked_fill(ordered < ordered.gather(-1, vocab - top_k), -torch.inf)
    if top_p is not None:
        drop = (ordered.softmax(dim=-1).cumsum(dim=-1) <= 1 - top_p) & (top_p < 1)
        drop[:, -1] = False
        ordered = ordered.masked_fill(drop, -torch.inf)
    logits = torch.empty_like(logits).scatter_(-1, order, ordered)
    return torch.where(seen, torch.where(logits < 0, logits * penalty, logits / penalty), logits)


@dataclass(frozen=True)
class _Batch:
    """Rows that `warp` applies to, their slots, and their temperature, top_k, top_p and penalty."""

    rows: torch.Tensor | slice
    slots: torch.Tensor
    values: tuple[torch.Tensor | None, ...]


class TurboSampling(LogitsProcessor):
    """Applies `warp` to every row of the running batch.

    A step asks nothing of the device, and sampling parameters are put there only when rows change.
    """

    @classmethod
    def validate_params(cls, sampling_params: SamplingParams) -> None:
        """Raises ValueError for a request that carries values this step cannot use."""
        values = (sampling_params.extra_args or {}).get(KEY)
        if values is not None and sorted(values) != sorted(VALUES):
            raise ValueError(f"extra_args[{KEY!r}] must hold {', '.join(VALUES)}")

    def __init__(self, vllm_config, device: torch.device, is_pin_memory: bool):
        self.device = device
        self.vocab = vllm_config.model_config.get_vocab_size()
        slots = vllm_config.scheduler_config.max_num_seqs
        self.rows: dict[int, tuple[int, list[int]]] = {}  # batch row -> (slot, the request's growing outputs)
        self.free = list(range(slots))
        self.done = [0] * slots  # outputs of the slot's request already marked as seen
        self.seen = torch.zeros(slots, self.vocab, dtype=torch.bool, device=device)
        self.values = torch.ones(slots, 3, dtype=torch.float32, device=device)
        self.top_k = torch.full((slots, 1), self.vocab, dtype=torch.int64, device=device)
        self.cuts = [(False, False)] * slots  # whether the slot's top_k and top_p are not neutral
        self._batch: _Batch | None = None  # of the rows as they are now

    def is_argmax_invariant(self) -> bool:
        """False: the penalty may change the best token."""
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Follow rows that come, go and move."""
        if batch_update is None:
            return
        self._batch = None
        for row in batch_update.removed:
            self._leave(row)
        for row, params, _, outputs in batch_update.added:
            self._leave(row)
            self._enter(row, (params.extra_args or {}).get(KEY) or {}, outputs)
        for one, other, direction in batch_update.moved:
            moving, displaced = self.rows.pop(one, None), self.rows.pop(other, None)
            if moving is not None:
                self.rows[other] = moving
            if displaced is not None:
                if direction is MoveDirectionality.SWAP:
                    self.rows[one] = displaced
                else:
                    self.free.append(displaced[0])

    def _leave(self, row: int) -> None:
        if row in self.rows:
            self.free.append(self.rows.pop(row)[0])

    def _enter(self, row: int, values: dict, outputs: list[int]) -> None:
        slot = self.free.pop()
        temperature, top_p = values.get("temperature", 1.0), values.get("top_p", 1.0)
        top_k = values.get("top_k", 0)
        self.values[slot] = torch.tensor([temperature or 1.0, top_p, values.get("repetition_penalty", 1.0)])
        self.top_k[slot] = min(top_k, self.vocab) if top_k > 0 else self.vocab
        self.cuts[slot] = (0 < top_k < self.vocab, top_p < 1)
        self.seen[slot] = False
        self.seen[slot, START_SPEECH] = True
        self.done[slot] = 0
        self.rows[row] = (slot, outputs)

    def _mark(self) -> None:
        slots, tokens, first = [], [], []
        for slot, outputs in self.rows.values():
            # Under asynchronous scheduling a token not yet known stands as -1.
            fresh = [token for token in outputs[self.done[slot] :] if token >= 0]
            if fresh:
                if self.done[slot] == 0:
                    first.append(slot)
                slots += [slot] * len(fresh)
                tokens += fresh
                self.done[slot] += len(fresh)
        if first:
            self.seen[first, START_SPEECH] = False
        if slots:
            self.seen[slots, tokens] = True

    def _values(self) -> _Batch:
        """What `warp` needs of the rows; made anew only when rows come, go or move."""
        if self._batch is None:
            rows = sorted(self.rows)
            own = [self.rows[row][0] for row in rows]
            slots = torch.tensor(own, device=self.device)
            temperature, top_p, penalty = self.values[slots].split(1, dim=-1)
            by_k, by_p = (any(self.cuts[slot][i] for slot in own) for i in (0, 1))
            first = rows == list(range(len(rows)))
            self._batch = _Batch(
                slice(len(rows)) if first else torch.tensor(rows, device=self.device),
                slots,
                (temperature, self.top_k[slots] if by_k else None, top_p if by_p else None, penalty),
            )
        return self._batch

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """Warped logits `[n, vocab]`."""
        if not self.rows:
            return logits
        self._mark()
        batch = self._values()
        part = warp(logits[batch.rows], *batch.values, self.seen[batch.slots])
        if len(part) == len(logits):
            return part
        logits[batch.rows] = part
        return logits
