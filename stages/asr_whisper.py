"""Whisper on vLLM as a backend: takes' sound files in, how far each is from its script out.

A request is one take. Its payload:

    path      of the take's sound file, or its URL
    script    what it was to say
    language  BCP 47 tag of it
    sampling  of vLLM

and its output's value `{"heard": str, "errors": int, "words": int}`, see `asr_words`. A take longer than the half
minute Whisper hears at once goes in as several prompts, cut where it is quiet.

Upstream: vLLM's own transcription server (`WhisperForConditionalGeneration.get_generation_prompt`) has the same prompt.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine import memory
from engine.errors import EngineDied, RowError, UserError
from engine.llm import LlmSpec
from engine.records import Output, Request, digest
from engine.session import LlmSession

if TYPE_CHECKING:
    import numpy as np

RATE = 16_000  # Hz, Whisper's
WINDOW_S = 30.0  # Whisper's encoder hears so much at once
SEARCH_S = 5.0  # before its end, for a quiet place to cut
QUIET_S = 0.1
ENGLISH_VOCABULARY = 51864  # of `whisper-*.en`: one token less than all others
ENGINE = {"mm_processor_cache_gb": 0}  # no take is heard twice
ON_CPU = {"dtype": "float32", "enable_chunked_prefill": False, "enforce_eager": True, "max_num_seqs": 16}
ON_GPU = {"gpu_memory_utilization": 0.6}
# Used where the environment does not say otherwise.
ENV_ON_CPU = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_KVCACHE_SPACE": "1"}


@dataclass(frozen=True)
class WhisperSpec(LlmSpec):
    """How to open a Whisper: `model` is its folder or hub id."""

    def group(self) -> str:
        """Equal for specs whose requests may share one engine."""
        return digest(["whisper", super().group()])

    def open(self) -> WhisperSession:
        """A backend, not yet entered."""
        return WhisperSession(self)


@dataclass
class _Listening:
    """A take under way: what was heard of each of its pieces."""

    request: Request
    pieces: list[Output | None] = field(default_factory=list)


class WhisperSession(LlmSession):
    """A vLLM engine with a Whisper in it; opens, closes and measures as `LlmSession` does.

    Raises (on entering):
        UserError: the model is no Whisper.
    """

    def __init__(self, spec: WhisperSpec):
        cuda = memory.has_cuda()
        usual = {} if cuda else {name: value for name, value in ENV_ON_CPU.items() if name not in os.environ}
        engine = ENGINE | (ON_GPU if cuda else ON_CPU) | dict(spec.engine)
        super().__init__(LlmSpec(spec.model, spec.revision, engine, usual | dict(spec.env)))

    def bring_in(self) -> None:
        """What reads and resamples takes."""
        import soundfile  # noqa: F401
        import torchaudio  # noqa: F401

    def opened(self) -> None:
        """What the model hears and how it spells.

        Raises:
            UserError: it is no Whisper.
        """
        config = self.llm.llm_engine.model_config
        if config.hf_config.model_type != "whisper":
            self.__exit__(UserError, None, None)
            raise UserError(
                f"no Whisper but a {config.hf_config.model_type}", f"audio.asr.model={self.spec.model}",
                "such as openai/whisper-small",
            )  # fmt: skip
        generation = config.try_get_generation_config()
        self.english_only = generation.get("is_multilingual") is False or config.get_vocab_size() == ENGLISH_VOCABULARY
        self.spelling = getattr(self.llm.get_tokenizer(), "english_spelling_normalizer", None) or {}

    def steps(self, requests: Iterable[Request]) -> Iterator[list[Output]]:
        """Listen to `requests`, yielding what each engine step finished.

        Raises:
            EngineDied: the engine is gone; names the takes in flight.
        """
        flight: dict[str, _Listening] = {}

        def pieces() -> Iterator[Request | None]:
            for request in requests:
                if request is None:  # nothing just now; see `engine.backend`
                    yield None
                    continue
                made = self._pieces(request)
                flight[request.key] = _Listening(request, [None] * len(made))
                for i, piece in enumerate(made):
                    yield Request(f"{request.key}/{i}", piece)

        try:
            for outputs in super().steps(pieces()):
                yield [whole for output in outputs if (whole := self._put(output, flight)) is not None]
        except EngineDied as e:
            raise EngineDied(str(e), list(flight)) from e

    def _pieces(self, request: Request) -> list[dict[str, Any]]:
        """Payloads of a take's prompts; one with the reason where it cannot be heard."""
        try:
            opening = self._opening(str(request.payload["language"]))
            sampling = request.payload["sampling"]
            return [
                {"samples": samples, "opening": opening, "sampling": sampling}
                for samples in cut(load(request.payload["path"]))
            ]
        except RowError as e:
            return [{"refused": e}]

    def _opening(self, language: str) -> str:
        """The decoder's prompt: tokens for language and task, none of which an English-only Whisper has.

        Raises:
            RowError: the model does not know the language.
        """
        language = language.lower().replace("_", "-").partition("-")[0]
        if self.english_only and language == "en":
            return "<|startoftranscript|><|notimestamps|>"
        if self.english_only or f"<|{language}|>" not in self.llm.get_tokenizer().get_vocab():
            raise RowError("language", f"{self.spec.model} does not know the language {language!r}")
        return f"<|startoftranscript|><|{language}|><|transcribe|><|notimestamps|>"

    def prepare(self, request: Request) -> tuple[Any, Any]:
        """vLLM's prompt and `SamplingParams` of a piece.

        Raises:
            RowError: what made its take unfit to be heard.
        """
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        if (refused := request.payload.get("refused")) is not None:
            raise refused
        prompt = {
            "encoder_prompt": {
                "prompt": "",
                "multi_modal_data": {"audio": (request.payload["samples"], RATE)},
            },
            "decoder_prompt": {"prompt": request.payload["opening"]},
        }
        return prompt, SamplingParams(output_kind=RequestOutputKind.FINAL_ONLY, **request.payload["sampling"])

    def _put(self, output: Output, flight: dict[str, _Listening]) -> Output | None:
        """Take in what was heard of a piece; the take's output where it was the last one missing."""
        key, _, place = output.key.rpartition("/")
        listening = flight[key]
        listening.pieces[int(place)] = output
        if None in listening.pieces:
            return None
        del flight[key]
        return self._judged(listening)

    def _judged(self, listening: _Listening) -> Output:
        from stages.asr_words import word_errors

        key, payload, pieces = listening.request.key, listening.request.payload, listening.pieces
        usage: dict[str, float] = {}
        for name, amount in (item for piece in pieces for item in piece.usage.items()):
            usage[name] = usage.get(name, 0) + amount
        if (error := next((piece.error for piece in pieces if piece.error), None)) is not None:
            return Output(key, usage=usage, error=error)
        heard = " ".join(piece.value["text"].strip() for piece in pieces).strip()
        found = word_errors(payload["script"], heard, payload["language"], self.spelling)
        return Output(key, {"heard": heard, "errors": found.errors, "words": found.words}, usage)


def load(path: str) -> np.ndarray:
    """A take's samples as Whisper wants them, float32 `[n]` at 16 kHz.

    Raises:
        RowError: `unreadable`, where the file is gone or no sound.
    """
    import soundfile

    from stages.sound import store
    from stages.sound.clip import Clip
    from stages.sound.resample import resample

    try:
        samples, rate = soundfile.read(io.BytesIO(store.read(path)), dtype="float32", always_2d=True)
    except Exception as e:  # libsndfile's own, and those of every store's library
        raise RowError("unreadable", f"the take's file cannot be read: {' '.join(str(e).split())[:200]}") from e
    return resample(Clip(samples.mean(1), rate), RATE).samples


def cut(samples: np.ndarray) -> list[np.ndarray]:
    """`samples` in pieces of at most half a minute, cut at the quietest tenth of a second near each one's end."""
    import numpy as np

    window, search, quiet = (int(RATE * seconds) for seconds in (WINDOW_S, SEARCH_S, QUIET_S))
    pieces = []
    while len(samples) > window:
        energy = np.cumsum(np.square(samples[window - search : window], dtype=np.float64))
        place = window - search + quiet // 2 + int(np.argmin(energy[quiet:] - energy[:-quiet]))
        pieces.append(samples[:place])
        samples = samples[place:]
    return [*pieces, samples]


__all__ = ["WhisperSession", "WhisperSpec", "cut", "load"]
