"""S3Gen as a batch: speech tokens of many utterances, in any mix of voices, to waveforms in one pass.

Upstream's S3Gen (`chatterbox/models/s3gen/s3gen.py`, `S3Token2Wav.inference`) speaks one utterance at a time. `Vocoder`
wraps its modules, leaves the package as it is, and gives each utterance what upstream gives it alone: the same mels to
fp32 rounding, the same noise for the same seed. See `s3gen_flow` and `s3gen_hift` for how.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch.overrides import TorchFunctionMode

from engine.errors import UserError
from stages.tts.chatterbox.checkpoint import Checkpoint, read_state
from stages.tts.chatterbox.s3gen_flow import Draws, Row, flow_mels
from stages.tts.chatterbox.s3gen_hift import fold_weight_norm, hift_waves

if TYPE_CHECKING:
    from chatterbox.models.s3gen import S3Gen

SAMPLE_RATE = 24_000
VOCABULARY = 6561  # speech tokens the flow knows; start and stop lie above and are not spoken
SILENCE = 4299  # upstream's S3GEN_SIL; Turbo ends every utterance with three
Item, Result = TypeVar("Item"), TypeVar("Result")


@dataclass(frozen=True)
class Utterance:
    """One piece of speech.

    Attributes:
        tokens: (T,) int64, T ≥ 1, all below `VOCABULARY`; see `spoken_tokens`.
        voice: upstream's S3Gen reference dict (`prompt_token`, `prompt_feat`, `embedding`, …), left unchanged.
        seed: of this utterance's noise; the wave depends on it, never on the batch.
    """

    tokens: torch.Tensor
    voice: Mapping[str, Any]
    seed: int

    @property
    def frames(self) -> int:
        """Mel frames the flow works on: voice prompt and speech."""
        return 2 * (self.voice["prompt_token"].shape[1] + self.tokens.shape[0])


def spoken_tokens(tokens: Sequence[int], turbo: bool) -> torch.Tensor:
    """What upstream vocodes of T3's `tokens`: those in the vocabulary, and for Turbo three of silence after them.

    Upstream: `tts.py` and `tts_turbo.py`, `generate`. Empty where nothing is left to speak.
    """
    kept = [t for t in tokens if 0 <= t < VOCABULARY]
    return torch.tensor(kept + [SILENCE] * 3 if turbo and kept else kept, dtype=torch.long)


def load_s3gen(checkpoint: Checkpoint, device: str | torch.device, conditioning: bool = True) -> S3Gen:
    """Upstream's `S3Gen` with the checkpoint's weights, on `device`, in eval mode.

    Args:
        conditioning: with the speech tokenizer and speaker encoder (half of the weights), which only voices need.

    Raises:
        UserError: the weights do not fit upstream's modules.
    """
    from chatterbox.models.s3gen import S3Gen

    with _Undrawn():
        model = S3Gen(meanflow=checkpoint.variant.meanflow)
    state = read_state(checkpoint.s3gen)
    try:
        # As upstream's `from_local`, the Original's file may lack what is computed at construction.
        lacking = set(model.load_state_dict(state, strict=False).missing_keys)
    except RuntimeError as e:
        problem = str(e).splitlines()[1].strip()
        raise UserError(f"the weights do not fit S3Gen: {problem}", checkpoint.s3gen, "fetch them again") from None
    lacking -= {f"tokenizer.{name}" for name in ("_mel_filters", "window")}
    if lacking := sorted(k for k in lacking if not k.endswith("num_batches_tracked")):
        problem = f"the weights lack {len(lacking)} tensors, {lacking[0]} first"
        raise UserError(problem, checkpoint.s3gen, "fetch them again")
    if not conditioning:
        del model.tokenizer, model.speaker_encoder
    return model.to(device).eval().requires_grad_(False)


class _Undrawn(TorchFunctionMode):
    """Modules are made without drawing weights for them, most of what it takes to make S3Gen: all are read from a file.

    `torch.nn.utils.skip_init` is for modules that take a device; upstream's do not.
    """

    DRAWS = frozenset({torch.Tensor.uniform_, torch.Tensor.normal_, torch.nn.init.kaiming_uniform_})

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in self.DRAWS:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


class Vocoder:
    """Batched S3Gen.

    Args:
        model: upstream's `S3Gen` with its weights, on its device. Its HiFT is changed in place (weight norm folded).
        flow: precision of the flow estimator: `fp32`; `tf32` (CUDA's reduced fp32, upstream's default for
            convolutions on a GPU); `bf16` (autocast, mels to about 45 dB). Everything else runs in full fp32, because
            errors in f0 add up in the phase.
        steps: Euler steps; None for upstream's 10 (Original) or 2 (Turbo). Fewer are faster and sound worse.
        hift_frames: padded mel frames HiFT turns into samples at once (about 250 kB each).
    """

    def __init__(self, model: S3Gen, flow: str = "fp32", steps: int | None = None, hift_frames: int = 4096):
        self.model, self.flow, self.hift_frames = model.eval(), flow, hift_frames
        self.meanflow: bool = model.meanflow
        self.steps = steps or (2 if self.meanflow else 10)
        fold_weight_norm(model.mel2wav)

    @property
    def device(self) -> torch.device:
        """Where the modules are."""
        return self.model.flow.input_embedding.weight.device

    def draws(self, utterances: Sequence[Utterance]) -> list[Draws]:
        """Fresh noise sources, one an utterance."""
        return [Draws(u.seed, self.device) for u in utterances]

    def mels(self, utterances: Sequence[Utterance], draws: Sequence[Draws] | None = None) -> list[torch.Tensor]:
        """Mel spectrograms (80, frames) of the speech, without the voice prompt, on the device."""
        draws = draws or self.draws(utterances)
        rows = [Row(u.tokens.cpu(), self.place(u.voice), d) for u, d in zip(utterances, draws, strict=True)]
        with full_fp32(except_tf32=self.flow == "tf32"):
            cast = torch.bfloat16 if self.flow == "bf16" else None
            return flow_mels(self.model.flow, rows, self.steps, self.meanflow, cast)

    def waves(self, utterances: Sequence[Utterance]) -> list[torch.Tensor]:
        """Waveforms (480·frames,), float32 at 24 kHz in [-0.99, 0.99], on the device, in the order given."""
        draws = self.draws(utterances)
        mels = self.mels(utterances, draws)
        waves: list[torch.Tensor] = [torch.empty(0)] * len(mels)
        with full_fp32():
            for part in buckets(range(len(mels)), lambda i: mels[i].shape[1], self.hift_frames):
                parts = [mels[i] for i in part], [draws[i] for i in part]
                made = hift_waves(self.model.mel2wav, *parts, self.model.trim_fade)
                for i, wave in zip(part, made, strict=True):
                    waves[i] = wave
        return waves

    def place(self, voice: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        """What the flow needs of a reference dict, where it needs it: prompt tokens on the host, the rest on device.

        A copy: upstream casts its caller's dict in place. Placing a placed voice costs nothing.
        """
        there = {name: voice[name].to(self.device) for name in ("prompt_feat", "embedding")}
        return there | {"prompt_token": voice["prompt_token"].long().cpu()}


@contextlib.contextmanager
def full_fp32(except_tf32: bool = False) -> Iterator[None]:
    """CUDA's fp32 without TF32 (its default for convolutions) in here, or with TF32 everywhere if `except_tf32`."""
    # The switches of torch 2.9 and later: its older ones raise once anybody in the process has used these.
    switches = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)
    before = [switch.fp32_precision for switch in switches]
    try:
        for switch in switches:
            switch.fp32_precision = "tf32" if except_tf32 else "ieee"
        yield
    finally:
        for switch, precision in zip(switches, before, strict=True):
            switch.fp32_precision = precision


def buckets(items: Sequence[Item], frames: Callable[[Item], int], budget: int) -> list[list[Item]]:
    """`items` in batches of similar length, longest first, whose padded size (rows × longest) is within `budget`.

    An item longer than the budget is a batch of its own.
    """
    batches: list[list[Item]] = []
    longest = 0
    for item in sorted(items, key=frames, reverse=True):
        if batches and (len(batches[-1]) + 1) * longest <= budget:
            batches[-1].append(item)
        else:
            batches.append([item])
            longest = frames(item)
    return batches


def halving(
    run: Callable[[Sequence[Item]], list[Result]], items: Sequence[Item], on_halve: Callable[[int], None]
) -> list[Result]:
    """`run(items)`; when the device is out of memory, the two halves instead, and so on down to single items.

    Args:
        on_halve: called with the size of the batch that did not fit.

    Raises:
        torch.OutOfMemoryError: if one item alone does not fit.
    """
    try:
        return run(items)
    except torch.OutOfMemoryError:
        if len(items) == 1:
            raise
    # Outside the handler: the exception's frames hold the tensors that filled the memory.
    on_halve(len(items))
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    half = len(items) // 2
    return halving(run, items[:half], on_halve) + halving(run, items[half:], on_halve)
