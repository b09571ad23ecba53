"""A take on its way through S3Gen: its chunks' tokens in, their waves collected in any order, one joined clip out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.errors import RowError, UserError
from engine.records import Output, Request, derive_seed

if TYPE_CHECKING:
    import numpy as np

    from stages.tts.chatterbox.s3gen import Utterance
    from stages.tts.chatterbox.watermark import Watermark

JOIN_FADE_MS = 5


def chunk_seed(seed: int, index: int) -> int:
    """Seed of the noise of chunk `index` of a take."""
    return derive_seed(seed, index)


@dataclass
class Take:
    """One request under way.

    Attributes:
        utterances: its chunks.
        pauses: milliseconds of silence after each.
        waves: of each chunk, None while it is missing.
        error: what became of a chunk that could not be vocoded.
    """

    key: str
    utterances: list[Utterance]
    pauses: list[int]
    waves: list[Any] = field(default_factory=list)
    missing: int = 0
    error: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        self.waves, self.missing = [None] * len(self.utterances), len(self.utterances)

    @classmethod
    def of(cls, request: Request, voice: Callable[[str], Mapping[str, Any]], turbo: bool) -> Take:
        """The take a request asks for.

        Args:
            voice: gives the S3Gen reference of a voice's name.

        Raises:
            RowError: it cannot be spoken.
        """
        from stages.tts.chatterbox.s3gen import Utterance, spoken_tokens

        payload = request.payload
        try:
            reference = voice(payload["voice"])
            chunks = [(spoken_tokens(c["tokens"], turbo), int(c.get("pause_ms", 0))) for c in payload["chunks"]]
            seed = int(payload["seed"])
        except UserError as e:
            raise RowError("bad_voice", str(e)) from e
        except (KeyError, TypeError, ValueError) as e:
            raise RowError("bad_request", f"not a take: {type(e).__name__} {e}") from e
        if not chunks or not all(len(tokens) for tokens, _ in chunks):
            raise RowError("no_speech_tokens", "there are no speech tokens to voice", chunks=len(chunks))
        utterances = [Utterance(tokens, reference, chunk_seed(seed, i)) for i, (tokens, _) in enumerate(chunks)]
        return cls(request.key, utterances, [pause for _, pause in chunks])

    @property
    def frames(self) -> int:
        """Mel frames of all its chunks, voice prompts counted."""
        return sum(u.frames for u in self.utterances)

    def put(self, index: int, wave: np.ndarray | RowError) -> bool:
        """Take in chunk `index`; True when it was the last one missing."""
        self.missing -= 1
        if isinstance(wave, RowError):
            self.error = wave.to_dict()
        else:
            self.waves[index] = wave
        return self.missing == 0

    def finish(self, watermark: Watermark | None) -> Output:
        """Join the chunks and put the watermark in."""
        from stages.tts.chatterbox.s3gen import SAMPLE_RATE

        try:
            if self.error:
                return Output(self.key, error=self.error)
            samples = join(self.waves, self.pauses, SAMPLE_RATE)
            _need_finite(samples)
            if watermark is not None:
                samples = watermark.apply(samples, SAMPLE_RATE)
                _need_finite(samples)
        except RowError as e:
            return Output(self.key, error=e.to_dict())
        finally:
            self.waves = []
        seconds = len(samples) / SAMPLE_RATE
        tokens = sum(len(u.tokens) for u in self.utterances)
        usage = {"audio_seconds": seconds, "speech_tokens": tokens, "chunks": len(self.utterances)}
        return Output(self.key, {"samples": samples, "sample_rate": SAMPLE_RATE}, usage)


Piece = tuple[Take, int]
"""A chunk: its take and its place there."""


def join(waves: Sequence[np.ndarray], pauses_ms: Sequence[int], sample_rate: int) -> np.ndarray:
    """`waves` one after another, each followed by its pause; where one ends in the middle it is faded out over 5 ms."""
    import numpy as np

    parts = []
    for i, (wave, pause) in enumerate(zip(waves, pauses_ms, strict=True)):
        if i < len(waves) - 1:
            fade = min(len(wave), sample_rate * JOIN_FADE_MS // 1000)
            wave = np.concatenate([wave[: len(wave) - fade], wave[len(wave) - fade :] * np.linspace(1, 0, fade)])
        parts += [wave, np.zeros(sample_rate * max(0, pause) // 1000)]
    return np.concatenate(parts).astype(np.float32)


def _need_finite(samples: np.ndarray) -> None:
    import numpy as np

    bad = int((~np.isfinite(samples)).sum())
    if bad:
        raise RowError("non_finite_audio", f"{bad} of {len(samples)} samples are no numbers", samples=bad)
