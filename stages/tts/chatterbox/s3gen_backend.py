"""Chatterbox's S3Gen as a backend: speech tokens of whole takes in, watermarked samples out.

    found = locate("turbo")
    spec = S3GenSpec(str(found.folder), "turbo", voices=str(VoiceStore(found, cache).folder))
    with spec.open() as s3gen:
        for outputs in s3gen.steps(requests): ...

A request is one take. Its payload:

    chunks  [{"tokens": [int, …], "pause_ms": int}, …]: T3's tokens of each chunk, and the silence after it
    voice   name of a voice file under `voices` (`<name>.pt`)
    seed    of the take's noise

and its output's value `{"samples": float32 numpy [n], "sample_rate": 24000}`. Chunks of all takes are vocoded in
batches of similar length, whichever take or voice they are of; a take comes out when its last chunk is done.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from engine import memory
from engine.backend import BackendStats
from engine.errors import EngineError, RowError, UserError
from engine.finish import THREADS
from engine.records import Output, Request, digest
from stages.tts.chatterbox.checkpoint import locate
from stages.tts.chatterbox.s3gen_takes import Piece, Take
from stages.tts.chatterbox.weight_files import content_hash

if TYPE_CHECKING:
    import numpy as np

FRAMES_ON_GPU, FRAMES_ON_CPU = 16384, 512
HIFT_FRAMES_ON_GPU = 4096
"""On a CPU large batches gain nothing and fall out of its caches."""
FLOW_PRECISIONS = ("fp32", "tf32", "bf16")
WINDOW = 16
"""Batches' worth of chunks drawn at a time: enough to sort them by length, and no more than memory bears."""


@dataclass(frozen=True)
class S3GenSpec:
    """How to open S3Gen.

    Attributes:
        checkpoint: folder of upstream's file names, or hub id.
        variant: `original`, `multilingual` or `turbo`.
        voices: folder of voice files, see `voices.VoiceStore.folder`.
        cache: folder for what is made once.
        frames: most mel frames of a batch, voice prompts and padding counted; None for a default by device. A batch
            that does not fit the GPU's memory is halved.
        flow: precision of the flow estimator: `fp32`, `tf32` or `bf16`; see `s3gen.Vocoder`.
        steps: Euler steps, None for upstream's.
        watermark: put Perth's watermark into each take, as upstream does.
        device: `cuda`, `cpu`; None for a GPU where there is one.

    Raises:
        UserError: a value that none of this can be, named by its config path.
    """

    checkpoint: str
    variant: str = "original"
    voices: str = ""
    cache: str = "~/.cache/voicetrack"
    frames: int | None = None
    flow: str = "fp32"
    steps: int | None = None
    watermark: bool = True
    device: str | None = None

    def __post_init__(self) -> None:
        if self.flow not in FLOW_PRECISIONS:
            raise UserError(
                f"{self.flow!r} is no precision", "tts.vocoder.flow", f"one of {', '.join(FLOW_PRECISIONS)}"
            )
        for name in ("frames", "steps"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise UserError(f"{value!r} is no number of {name}", f"tts.vocoder.{name}", "give 1 or more, or null")
        if self.device is not None and self.device.partition(":")[0] not in ("cpu", "cuda"):
            raise UserError(f"{self.device!r} is no device", "tts.vocoder.device", "cpu, cuda, or null")

    def identity(self) -> Mapping[str, Any]:
        """Content of the weights and what changes the samples; the voices' folder is named by what made them."""
        model = [self.variant, content_hash(locate(self.variant, self.checkpoint).s3gen, self.cache)]
        return {
            "model": model,
            "voices": Path(self.voices).name,
            "vocoder": [self.flow, self.steps],
            "watermark": self.watermark,
        }

    def group(self) -> str:
        """Equal for specs whose requests may share one backend."""
        return digest(["s3gen", asdict(self)])

    def open(self) -> S3GenBackend:
        """A backend, not yet entered."""
        return S3GenBackend(self)


class S3GenBackend:
    """S3Gen's flow and HiFT on one device, from opening to closing.

    Raises (on entering):
        UserError: the checkpoint cannot be used, the watermark cannot be loaded.
    """

    def __init__(self, spec: S3GenSpec):
        self.spec, self.stats = spec, BackendStats()
        self.vocoder: Any = None
        self.watermark: Any = None

    def __enter__(self) -> Self:
        started = time.perf_counter()
        # Imported before memory is first measured: what Python modules take does not come back.
        import torch

        from stages.tts.chatterbox.s3gen import Vocoder, load_s3gen
        from stages.tts.chatterbox.voices import load_voice
        from stages.tts.chatterbox.watermark import Watermark

        self._before = memory.used_mib()
        device = self.spec.device or ("cuda" if torch.cuda.is_available() else "cpu")
        if self.spec.watermark:
            self.watermark = Watermark()
        found = locate(self.spec.variant, self.spec.checkpoint)
        self.vocoder = Vocoder(
            load_s3gen(found, device, conditioning=False),
            self.spec.flow,
            self.spec.steps,
            FRAMES_ON_CPU if device == "cpu" else HIFT_FRAMES_ON_GPU,
        )
        self.frames = self.spec.frames or (FRAMES_ON_CPU if device == "cpu" else FRAMES_ON_GPU)

        @lru_cache(maxsize=256)
        def voice(name: str) -> Mapping[str, Any]:
            path = Path(self.spec.voices).expanduser() / f"{name}.pt"
            return self.vocoder.place(load_voice(path)["gen"])

        self._voice = voice
        self.stats.extra = {"device": device, "audio_seconds": 0.0, "vocode_s": 0.0, "batches": 0, "halved": 0}
        self.stats.extra |= {"frames": 0, "padded_frames": 0}
        self.stats.load_s += time.perf_counter() - started
        return self

    def __exit__(self, *exc: object) -> None:
        started = time.perf_counter()
        used = memory.used_mib()
        self.stats.footprint_mib = used - self._before
        on_gpu = self.vocoder is not None and self.vocoder.device.type == "cuda"
        self.vocoder = self.watermark = self._voice = None
        if on_gpu:
            import gc

            import torch

            gc.collect()
            torch.cuda.empty_cache()
        self.stats.returned_mib = used - memory.settle(self._before, self.stats.footprint_mib)
        self.stats.close_s = time.perf_counter() - started

    def steps(self, requests: Iterable[Request]) -> Iterator[list[Output]]:
        """Vocode `requests`, yielding takes as their last chunk and their watermark are done.

        Raises:
            EngineError: the backend is not open.
        """
        if self.vocoder is None:
            raise EngineError("the S3Gen backend is not open")
        import torch

        from stages.tts.chatterbox.s3gen import buckets

        finishing: deque[Future[Output]] = deque()
        # Joining and watermarking take the CPU about 0.02 s a second of audio: done beside the device's work.
        # One core each: with a team of threads for every one of them, 8 takes on 16 cores stand in each other's way.
        with ThreadPoolExecutor(THREADS, initializer=lambda: torch.set_num_threads(1)) as pool:
            for takes, refused in self._windows(requests):
                if refused:
                    yield refused
                pieces: list[Piece] = [(take, i) for take in takes for i in range(len(take.utterances))]
                for batch in buckets(pieces, lambda p: p[0].utterances[p[1]].frames, self.frames):
                    whole = [t for (t, i), wave in zip(batch, self._vocode(batch), strict=True) if t.put(i, wave)]
                    finishing.extend(pool.submit(take.finish, self.watermark) for take in whole)
                    if done := self._finished(finishing, wait=False):
                        yield done
                if done := self._finished(finishing, wait=True):
                    yield done

    def _windows(self, requests: Iterable[Request]) -> Iterator[tuple[list[Take], list[Output]]]:
        """Takes in groups of about `WINDOW` batches, and the outputs of requests that cannot be spoken."""
        takes: list[Take] = []
        refused: list[Output] = []
        frames = 0
        for request in requests:
            try:
                take = Take.of(request, self._voice, self.vocoder.meanflow)
            except RowError as e:
                refused.append(Output(request.key, error=e.to_dict()))
                continue
            takes.append(take)
            frames += take.frames
            if frames >= WINDOW * self.frames:
                yield takes, refused
                takes, refused, frames = [], [], 0
        if takes or refused:
            yield takes, refused

    def _vocode(self, batch: Sequence[Piece]) -> list[np.ndarray | RowError]:
        """Waves of a batch on the host; a chunk too big for the device even alone gives its error instead."""
        from stages.tts.chatterbox.s3gen import halving

        started = time.perf_counter()
        extra = self.stats.extra

        def waves(part: Sequence[Piece]) -> list[np.ndarray | RowError]:
            import torch

            try:
                made = self.vocoder.waves([take.utterances[i] for take, i in part])
                host = torch.cat(made).cpu().numpy()
            except torch.OutOfMemoryError:
                if len(part) > 1:
                    raise
                return [RowError("out_of_memory", "a chunk does not fit the device's memory; cut the text shorter")]
            ends = [0]
            for wave in made:
                ends.append(ends[-1] + len(wave))
            return [host[a:b] for a, b in zip(ends, ends[1:], strict=False)]

        def halved(_: int) -> None:
            extra["halved"] += 1

        result = halving(waves, batch, halved)
        lengths = [take.utterances[i].frames for take, i in batch]
        extra["batches"] += 1
        extra["frames"] += sum(lengths)
        extra["padded_frames"] += len(lengths) * max(lengths)
        extra["vocode_s"] += time.perf_counter() - started
        return result

    def _finished(self, finishing: deque[Future[Output]], wait: bool) -> list[Output]:
        """Take what is ready off the head of `finishing`; everything if `wait`."""
        done = []
        while finishing and (wait or finishing[0].done()):
            done.append(finishing.popleft().result())
            self.stats.extra["audio_seconds"] += done[-1].usage.get("audio_seconds", 0.0)
        return done
