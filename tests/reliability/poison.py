"""Logits processors that do an engine harm, given to it as `engine.logits_processors`."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path

import torch
from vllm.v1.sample.logits_processor import LogitsProcessor


class _Harmless(LogitsProcessor):
    """Sees every request that enters the batch and changes nothing."""

    def __init__(self, vllm_config, device, is_pin_memory):
        self.model = vllm_config.model_config.model
        self.rows: dict[int, bool] = {}

    def apply(self, logits):
        return logits

    def is_argmax_invariant(self):
        return True

    def update_state(self, batch_update):
        for index in batch_update.removed if batch_update else ():
            self.rows.pop(index, None)
        for index, _, prompt, _ in batch_update.added if batch_update else ():
            self.rows[index] = True
            self.added(prompt)

    def added(self, prompt):
        """A request with the token ids `prompt` was added."""

    @cached_property
    def tokenizer(self):
        from tokenizers import Tokenizer

        return Tokenizer.from_file(str(Path(self.model) / "tokenizer.json"))


class Poison(_Harmless):
    """Ends the engine's process when a prompt with the text in POISON enters the batch."""

    def added(self, prompt):
        if os.environ["POISON"] in self.tokenizer.decode(list(prompt), skip_special_tokens=False):
            os._exit(1)


class Hungry(_Harmless):
    """Runs out of memory when more than HUNGRY requests are in the batch."""

    def update_state(self, batch_update):
        super().update_state(batch_update)
        if len(self.rows) > int(os.environ["HUNGRY"]):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. 79.10 GiB is in use")
