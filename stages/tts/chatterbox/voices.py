"""Voices: a DJ's reference clip, turned once into what T3 and S3Gen need, and kept on disk.

    clip = check_clip(dj.voice, "turbo")                        # planning: no torch; bad clips are refused here
    voices = VoiceStore(locate("turbo"), "~/.cache/voicetrack")
    voices.ensure([clip])                                       # makes what is missing, in a process of its own
    voices.folder                                               # <clip.digest>.pt, for `T3Spec.voices` and `S3GenSpec`

A voice file has the form of upstream's `Conditionals.save`; its folder is named by the weights that made it, itself by
the clip's bytes. `BUILT_IN` is the voice that ships with the weights, for a DJ without a clip.

Upstream: `prepare_conditionals` in `tts.py`, `tts_turbo.py` and `mtl_tts.py`.
"""

from __future__ import annotations

import hashlib
import math
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import EngineError, UserError
from engine.records import digest
from stages.tts.chatterbox.checkpoint import Checkpoint, read_state
from stages.tts.chatterbox.variants import variant_named

if TYPE_CHECKING:
    import numpy as np

BUILT_IN = "built-in"
LAYOUT = 1
"""Part of the folders' names: raised when conditioning changes."""
S3GEN_PROMPT_SECONDS = 10.0  # upstream's DEC_COND_LEN
SPEECH_DBFS, SPEECH_SECONDS = -50.0, 1.5
CLIPPED_SHARE, CLIPPED_RUN = 1e-3, 4


@dataclass(frozen=True)
class Clip:
    """A reference clip fit for conditioning.

    Attributes:
        digest: hash of the file's bytes; the voice's name.
        seconds: its length.
    """

    path: Path
    digest: str
    seconds: float


def check_clip(path: str | os.PathLike[str], variant: str = "original") -> Clip:
    """Look at a reference clip without torch.

    Raises:
        UserError: it is not audio, too short for the variant, silent or nearly so, clipped, or holds NaN.
    """
    import soundfile

    path, kind = Path(path), variant_named(variant)
    if not path.is_file():
        raise UserError("no such voice clip", path)
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError:
        raise UserError("not audio that can be read", path, "give WAV, FLAC, MP3 or Ogg") from None
    if reason := _unfit(samples, rate, kind.min_seconds, variant):
        raise UserError(reason, path, "give 6 to 15 s of clean speech by one person")
    with path.open("rb") as file:
        content = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=8)).hexdigest()
    return Clip(path, content, len(samples) / rate)


def _unfit(samples: np.ndarray, rate: int, min_seconds: float, variant: str) -> str | None:
    """Why (frames, channels) samples cannot be a voice; None where they can."""
    import numpy as np

    seconds = len(samples) / rate
    if seconds <= min_seconds:
        return f"the voice clip is too short: {seconds:.1f} s, Chatterbox {variant} needs more than {min_seconds:g} s"
    if not np.isfinite(samples).all():
        return "the voice clip holds samples that are no numbers"
    mono = samples.mean(axis=1)
    step = max(1, rate // 50)
    power = np.square(mono[: len(mono) // step * step], dtype=np.float64).reshape(-1, step).mean(axis=1)
    speech = float((power > 10 ** (SPEECH_DBFS / 10)).sum()) * step / rate
    if speech < SPEECH_SECONDS:
        return f"the voice clip is silent but for {speech:.1f} s (above {SPEECH_DBFS:g} dBFS)"
    share = max(_clipped(samples[:, c]) for c in range(samples.shape[1]))
    if share > CLIPPED_SHARE:
        return f"the voice clip is clipped: {share:.1%} of its samples stand at full scale"
    return None


def _clipped(channel: np.ndarray) -> float:
    """Share of samples in runs of at least `CLIPPED_RUN` on the channel's own ceiling: flat tops, not mere peaks."""
    import numpy as np

    level = np.abs(channel)
    peak = float(level.max())
    if peak < 0.5:  # scaled down that far it could be anything
        return 0.0
    top = np.concatenate([[False], level >= peak * (1 - 1e-4), [False]])
    edges = np.flatnonzero(top[1:] != top[:-1])
    runs = edges[1::2] - edges[::2]
    return float(runs[runs >= CLIPPED_RUN].sum()) / len(channel)


@dataclass(frozen=True)
class VoiceStore:
    """The voices of one checkpoint on disk.

    Attributes:
        cache: folder of everything made once.
        prompt_seconds: how much of a clip S3Gen takes as its prompt. Upstream takes 10; since S3Gen works the prompt
            out anew with every utterance, 4 leaves a 4 s line 1.75 times fewer frames, at some cost in likeness.
        device: where conditioning runs; None for a GPU where there is one.
    """

    checkpoint: Checkpoint
    cache: str | os.PathLike[str]
    prompt_seconds: float = S3GEN_PROMPT_SECONDS
    device: str | None = None

    @property
    def folder(self) -> Path:
        """Where the voice files are; the name tells the weights that made them."""
        made_by = digest([LAYOUT, self.checkpoint.conditioning_identity(self.cache), self.prompt_seconds])
        return Path(self.cache).expanduser() / "voices" / made_by

    def path(self, voice: str) -> Path:
        """The file of a voice: a clip's digest, or `BUILT_IN`."""
        return self.folder / f"{voice}.pt"

    def ensure(self, clips: Iterable[Clip], built_in: bool = False) -> None:
        """Make the files that are missing, `built_in` with the voice that ships with the weights.

        Clips are conditioned in a process of its own, so that this one stays free of what it loads (1 GB, and librosa,
        which vLLM on a CPU must not find imported) and the device gets all memory back.

        Raises:
            UserError: there is no built-in voice, or the weights cannot be used.
            EngineError: conditioning failed for some other reason.
        """
        folder = self.folder
        folder.mkdir(parents=True, exist_ok=True)
        if built_in and not self.path(BUILT_IN).is_file():
            self._copy_built_in()
        missing = {c.digest: c for c in clips if not self.path(c.digest).is_file()}
        if not missing:
            return
        fixed = replace(self, cache=Path(self.cache).expanduser().resolve())
        try:
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                problem = pool.submit(_condition_all, fixed, list(missing.values())).result()
        except Exception as e:
            raise EngineError(f"conditioning {len(missing)} voice clips failed: {e or type(e).__name__}") from e
        if problem:
            raise UserError(*problem)

    def _copy_built_in(self) -> None:
        source = self.checkpoint.built_in_voice
        if source is None:
            raise UserError(
                "the weights come without a voice of their own (conds.pt)",
                self.checkpoint.folder,
                "give each DJ a voice clip",
            )
        load_voice(source)
        with _whole_file(self.path(BUILT_IN)) as part:
            shutil.copyfile(source, part)


@contextmanager
def _whole_file(target: Path) -> Iterator[str]:
    """A path beside `target` that becomes `target` when the block ends well: nobody sees half a file."""
    handle, part = tempfile.mkstemp(dir=target.parent, suffix=".part")
    os.close(handle)
    try:
        yield part
        os.replace(part, target)
    except BaseException:
        os.unlink(part)
        raise


def load_voice(path: str | os.PathLike[str]) -> dict[str, dict[str, Any]]:
    """`{"t3": fields of upstream's T3Cond, "gen": S3Gen's reference dict}` of a voice file, on the CPU.

    Raises:
        UserError: it is missing or something else.
    """
    import pickle

    import torch

    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        shapes = [found["gen"][k].ndim for k in ("prompt_token", "prompt_feat", "embedding")]
        if shapes != [2, 3, 2] or "speaker_emb" not in found["t3"]:
            raise ValueError("unexpected shapes")
    except FileNotFoundError:
        raise UserError("no such voice", path, "condition the reference clip first") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, TypeError, AttributeError, ValueError):
        raise UserError("not a voice file (upstream's Conditionals)", path, "delete it, it is made again") from None
    return found


def _condition_all(store: VoiceStore, clips: Sequence[Clip]) -> tuple[str, str, str] | None:
    """In the process of its own: condition and keep `clips`. Returns a UserError's parts, None where all went well."""
    import torch

    try:
        conditioner = Conditioner(store.checkpoint, store.prompt_seconds, store.device)
        for clip in clips:
            voice = conditioner.voice(clip.path)
            with _whole_file(store.path(clip.digest)) as part:
                torch.save(voice, part)
    except UserError as e:
        return e.problem, e.where, e.fix
    return None


class Conditioner:
    """Turns clips into voices with upstream's speech tokenizer, speaker encoder and voice encoder.

    Raises:
        UserError: the weights cannot be read or do not fit.
    """

    def __init__(self, checkpoint: Checkpoint, prompt_seconds: float = S3GEN_PROMPT_SECONDS, device: str | None = None):
        import torch
        from chatterbox.models.voice_encoder import VoiceEncoder

        from stages.tts.chatterbox.s3gen import load_s3gen

        self.variant, self.prompt_seconds = checkpoint.variant, prompt_seconds
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.s3gen = load_s3gen(checkpoint, device)
        self.encoder = VoiceEncoder()
        self.encoder.load_state_dict(read_state(checkpoint.voice_encoder))
        self.encoder.to(device).eval()

    def voice(self, path: str | os.PathLike[str]) -> dict[str, dict[str, Any]]:
        """The voice of a clip, in the form of upstream's `Conditionals.save`, on the CPU.

        Follows `prepare_conditionals`, except that the loudness-normalised clip stays float32 (upstream's Turbo lets it
        become float64 on numpy 2 and then fails).
        """
        import librosa
        import torch

        from stages.tts.chatterbox.s3gen import full_fp32

        with torch.inference_mode(), full_fp32():  # speech tokens are rounded: TF32 would make other ones
            wave, _ = librosa.load(path, sr=24_000)
            if self.variant.loudness is not None:
                wave = _level(wave, 24_000, self.variant.loudness)
            wave_16k = librosa.resample(wave, orig_sr=24_000, target_sr=16_000)
            gen = self.s3gen.embed_ref(wave[: int(self.prompt_seconds * 24_000)], 24_000, device=self.s3gen.device)
            heard = wave_16k[: self.variant.prompt_seconds * 16_000]
            tokens, _ = self.s3gen.tokenizer.forward([heard], max_len=self.variant.prompt_tokens)
            speaker = torch.from_numpy(self.encoder.embeds_from_wavs([wave_16k], sample_rate=16_000))
        t3 = {
            "speaker_emb": speaker.mean(dim=0, keepdim=True),
            "clap_emb": None,
            "cond_prompt_speech_tokens": torch.atleast_2d(tokens),
            "cond_prompt_speech_emb": None,
            "emotion_adv": 0.5 * torch.ones(1, 1, 1),
        }
        return {"t3": _kept(t3), "gen": _kept(gen)}


def _kept(part: dict[str, Any]) -> dict[str, Any]:
    """Tensors as plain CPU copies, fit for saving."""
    import torch

    return {k: v.detach().cpu().clone() if torch.is_tensor(v) else v for k, v in part.items()}


def _level(wave: np.ndarray, rate: int, lufs: float) -> np.ndarray:
    """`wave` at the integrated loudness `lufs`, float32; as it is where its loudness cannot be told."""
    import numpy as np
    import pyloudnorm

    gain = 10.0 ** ((lufs - pyloudnorm.Meter(rate).integrated_loudness(wave)) / 20.0)
    return np.float32(gain) * wave if math.isfinite(gain) and gain > 0 else wave
