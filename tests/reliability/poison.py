"""Logits processors that do an engine harm, given to it as `engine.logits_processors`."""

from __future__ import annotations

import json
import os
from functools import cached_property
from pathlib import Path

import torch
from vllm.v1.sample.logits_processor import LogitsProcessor, MoveDirectionality


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
        if batch_update is None:
            return
        for index in batch_update.removed:
            self.rows.pop(index, None)
        for index, _, prompt, _ in batch_update.added:
            self.rows[index] = self.added(prompt)
        for source, target, way in batch_update.moved:
            moved = self.rows.pop(source, None), self.rows.pop(target, None)
            for index, row in zip((target, source), moved) if way is MoveDirectionality.SWAP else ((target, moved[0]),):
                if row is not None:
                    self.rows[index] = row

    def added(self, prompt) -> bool:
        """A request with the token ids `prompt` was added; returns what `rows` remembers of it."""
        return True

    def says(self, prompt, text: str) -> bool:
        """Whether the text is in the prompt."""
        return text in self.tokenizer.decode(list(prompt), skip_special_tokens=False)

    @cached_property
    def tokenizer(self):
        from tokenizers import Tokenizer

        return Tokenizer.from_file(str(Path(self.model) / "tokenizer.json"))


class Poison(_Harmless):
    """Ends the engine's process when a prompt with the text in POISON enters the batch."""

    def added(self, prompt):
        if self.says(prompt, os.environ["POISON"]):
            os._exit(1)
        return True


class Silent(_Harmless):
    """Lets the model say nothing at all where the prompt has the text in SILENT."""

    def added(self, prompt):
        return self.says(prompt, os.environ["SILENT"])

    def apply(self, logits):
        silent = [index for index, told in self.rows.items() if told]
        logits[silent] = float("-inf")
        logits[silent, self.end] = 0.0
        return logits

    @cached_property
    def end(self):
        return json.loads((Path(self.model) / "config.json").read_text())["eos_token_id"]


class Hungry(_Harmless):
    """Runs out of memory when more than HUNGRY requests are in the batch."""

    def update_state(self, batch_update):
        super().update_state(batch_update)
        if len(self.rows) > int(os.environ["HUNGRY"]):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. 79.10 GiB is in use")
