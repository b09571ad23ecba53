"""Chatterbox's T3 as a backend: chunks of text in, speech tokens out, all rows of a batch in one vLLM engine.

    spec = T3Spec(checkpoint="…/chatterbox", variant="original", voices="…/voices")
    with spec.open() as t3:
        for outputs in t3.steps(requests): ...

A request is one chunk. Its payload:

    text      what to say (already cut and spelled out)
    voice     name of a voice file under `voices` (`<name>.pt`), or a path
    sampling  see `t3_sampling.resolve`; `seed` makes the chunk repeatable
    language  code of the text's language, multilingual only

and its output's value `{"tokens": [int, …], "finish_reason": "stop" | "length"}`: tokens S3Gen can voice, all below
6561.
"""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Self

from engine import memory
from engine.errors import RowError, UserError
from engine.records import Request, digest
from engine.session import LlmSession, LlmSpec
from stages.tts.chatterbox import t3_plugin
from stages.tts.chatterbox.t3_checkpoint import T3Checkpoint, open_checkpoint
from stages.tts.chatterbox.t3_header import START_SPEECH, STOP_SPEECH
from stages.tts.chatterbox.t3_sampling import resolve

ENGINE = {
    "skip_tokenizer_init": True,
    "enable_prompt_embeds": True,
    "generation_config": "vllm",
    "max_model_len": 2048,
    "max_num_batched_tokens": 8192,
}
ENV = {
    # The engine the token-exact tests run on; Turbo's sampling is written for it.
    "VLLM_USE_V2_MODEL_RUNNER": "0",
}
ON_CPU = {
    "dtype": "float32",
    # vLLM's CPU sampler refuses seeded requests whose prompt is computed in pieces.
    "enable_chunked_prefill": False,
    "enforce_eager": True,
    "max_num_seqs": 16,
    # A guided voice prompt has 34 positions: one of the smallest blocks this platform takes can be cached.
    "block_size": 32,
}
# Used where the environment does not say otherwise.
ENV_ON_CPU = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # in this process the engine loads three times faster
    "VLLM_CPU_KVCACHE_SPACE": "4",  # GiB, 16 rows of the Original; vLLM's own default is most of the machine's memory
}
ON_GPU = {"dtype": "bfloat16", "max_num_seqs": 128}


@dataclass(frozen=True)
class T3Spec:
    """How to open T3.

    Attributes:
        checkpoint: folder of upstream's file names.
        variant: `original`, `multilingual` or `turbo`.
        voices: folder of voice files; may be empty where requests name paths.
        cache: folder for what is made once per checkpoint.
        engine: further arguments of `vllm.LLM`, over those this needs.
        env: further environment variables vLLM reads.
    """

    checkpoint: str
    variant: str = "original"
    voices: str = ""
    cache: str = "~/.cache/voicetrack"
    engine: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def files(self) -> T3Checkpoint:
        """The checkpoint, looked at once.

        Raises:
            UserError: it is incomplete or something else.
        """
        return open_checkpoint(self.checkpoint, self.variant)

    def identity(self) -> Mapping[str, Any]:
        """Content of weights and tokenizer, and what changes the engine's numbers."""
        numeric = {name: self.engine[name] for name in ("dtype", "quantization") if name in self.engine}
        return {"model": [self.variant, self.files.identity(self.cache), numeric]}

    def group(self) -> str:
        """Equal for specs whose requests may share one engine."""
        return digest(["t3", self.variant, str(self.checkpoint), self.voices, dict(self.engine), dict(self.env)])

    def open(self) -> T3Backend:
        """A backend, not yet entered."""
        return T3Backend(self)


class T3Backend(LlmSession):
    """A vLLM engine with T3 in it, from opening to closing; streams, closes and measures as `LlmSession` does.

    Raises (on entering):
        UserError: the checkpoint is incomplete, or the engine would not find the model.
        EngineError: the engine did not start.
    """

    def __init__(self, spec: T3Spec):
        self.t3 = spec
        cuda = memory.has_cuda()
        machine = ON_GPU if cuda else ON_CPU
        usual = {} if cuda else {name: value for name, value in ENV_ON_CPU.items() if name not in os.environ}
        super().__init__(
            LlmSpec(
                model=str(spec.files.engine_folder(spec.cache)),
                engine=ENGINE | machine | _sampler(spec.variant) | dict(spec.engine),
                env=ENV | usual | dict(spec.env),
            )
        )
        self.prompter: Any = None

    def __enter__(self) -> Self:
        if (dict(os.environ) | dict(self.spec.env)).get("VLLM_ENABLE_V1_MULTIPROCESSING", "1") != "0":
            _need_entry_point()
        return super().__enter__()

    def bring_in(self) -> None:
        """Chatterbox."""
        import chatterbox  # noqa: F401

        import stages.tts.chatterbox.t3_prompt  # noqa: F401

    def opened(self) -> None:
        """The prompter: tables and conditioning modules."""
        from stages.tts.chatterbox.t3_prompt import T3Prompter, load_t3_cond

        self.prompter = T3Prompter(self.t3.files, self.llm.llm_engine.model_config.dtype)
        self._voice = lru_cache(maxsize=256)(load_t3_cond)

    def engine_args(self) -> dict[str, Any]:
        """Arguments of `vllm.LLM`, which by now knows the models."""
        t3_plugin.register()
        return super().engine_args()

    def prepare(self, request: Request) -> tuple[Any, Any]:
        """vLLM's prompt and `SamplingParams` of a chunk.

        Raises:
            RowError: text, voice, language or sampling cannot be used, or do not fit the context.
        """
        payload = request.payload
        try:
            sampling = resolve(payload.get("sampling") or {}, self.t3.variant)
            cond = self._voice(self._voice_path(payload["voice"]))
        except UserError as e:
            raise RowError("bad_request", str(e)) from e
        prompt = self.prompter.prompt(
            payload["text"],
            cond,
            weight=sampling.get("cfg_weight", 0.0),
            exaggeration=sampling.get("exaggeration", 0.0),
            language=payload.get("language"),
        )
        length = len(prompt["prompt_token_ids"])
        if length + sampling["max_tokens"] > self.max_model_len:
            raise RowError(
                "prompt_too_long",
                f"prompt has {length} positions, with max_tokens {sampling['max_tokens']} more than the context of "
                f"{self.max_model_len}; raise max_model_len or cut the text shorter",
                prompt_tokens=length,
            )
        return prompt, _params(sampling, self.t3.variant)

    def _voice_path(self, voice: str) -> str:
        named = Path(self.t3.voices).expanduser() / f"{voice}.pt"
        return str(named if self.t3.voices and named.is_file() else voice)

    def value(self, completion: Any) -> Any:
        """Speech tokens and why they ended; the start, stop and spare ids are dropped, as before upstream's S3Gen."""
        tokens = [token for token in completion.token_ids if token < START_SPEECH]
        return {"tokens": tokens, "finish_reason": completion.finish_reason}

    def __exit__(self, *exc: object) -> None:
        self.prompter = self._voice = None
        super().__exit__(*exc)


def _sampler(variant: str) -> dict[str, Any]:
    if variant != "turbo":
        return {}
    return {"logits_processors": ["stages.tts.chatterbox.t3_turbo_sampling:TurboSampling"]}


def _params(sampling: Mapping[str, Any], variant: str) -> Any:
    """vLLM's `SamplingParams`; vLLM's order of steps is upstream's for the guided variants, not for Turbo."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    common = {
        "max_tokens": sampling["max_tokens"],
        "seed": sampling["seed"],
        "stop_token_ids": [STOP_SPEECH],
        "detokenize": False,
        "output_kind": RequestOutputKind.FINAL_ONLY,
    }
    steps = {name: sampling[name] for name in ("temperature", "top_k", "top_p", "repetition_penalty")}
    if variant == "turbo":
        greedy = sampling["temperature"] == 0
        return SamplingParams(temperature=0.0 if greedy else 1.0, extra_args={"turbo": steps}, **common)
    return SamplingParams(min_p=sampling["min_p"], **steps, **common)


def _need_entry_point() -> None:
    """An engine in its own process learns of the model through the entry point only."""
    points = importlib.metadata.entry_points(group="vllm.general_plugins")
    if not any(point.value.startswith(t3_plugin.__name__) for point in points):
        raise UserError(
            "vLLM's engine process would not find Chatterbox's model: Voicetrack is not installed",
            "environment",
            "uv pip install -e . or set VLLM_ENABLE_V1_MULTIPROCESSING=0",
        )
