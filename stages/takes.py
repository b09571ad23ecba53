"""Is a take what its script asked for? Checks that need nothing but the samples and the text.

Speech models stop early, run on, fall silent, or say the end again and again. A take with a *fatal* problem is never
aired; one with a lesser problem is worth another try and is kept only when no try is better (`best`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stages.sound.clip import Clip

FATAL = frozenset({"empty", "non_finite", "silent", "too_short", "too_long", "token_cap", "repeated_tail"})
BLEMISHES = frozenset({"clipped", "long_pause"})
NATURAL_S_PER_WORD = 0.38  # 2.6 words a second, the middle of what DJs speak

_TAG = re.compile(r"\[[a-z ]+\]")  # Turbo's [laugh]: sounds, but is no word
_WORD = re.compile(r"\w[\w'’.,:-]*")
_UNSPACED = re.compile(
    "[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]"
)  # Thai, kana, Han: two make about a word


@dataclass(frozen=True, slots=True)
class TakeLimits:
    """What a take may be.

    Attributes:
        least_s_per_word, most_s_per_word: speaking pace.
        margin_s: seconds allowed on top of the most, and taken off the least.
        pause_s: longest silence inside.
        silence_dbfs: a take whose loudest 50 ms are below is silent.
        clipped_share: largest share of samples at full scale.
        repeats: whether the tail is looked at for repeats.
    """

    least_s_per_word: float = 0.2
    most_s_per_word: float = 1.2
    margin_s: float = 0.5
    pause_s: float = 2.5
    silence_dbfs: float = -50.0
    clipped_share: float = 0.001
    repeats: bool = True


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a take.

    Attributes:
        slug: one of `FATAL` or `BLEMISHES`.
        message: the same with figures, one line.
    """

    slug: str
    message: str

    @property
    def fatal(self) -> bool:
        """Whether a take with it must not be aired."""
        return self.slug in FATAL

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {"slug": self.slug, "message": self.message}


@dataclass(frozen=True, slots=True)
class TakeCheck:
    """What was found on one try at a link.

    Attributes:
        attempt: 1 for the first try.
        duration_s: between the first and the last sound.
        expected_s: what the script takes at a natural pace.
    """

    attempt: int
    duration_s: float
    expected_s: float
    problems: tuple[Problem, ...] = ()

    @property
    def usable(self) -> bool:
        """No fatal problem."""
        return not any(p.fatal for p in self.problems)

    @property
    def clean(self) -> bool:
        """No problem at all; no other try is needed."""
        return not self.problems


def check(
    clip: Clip, text: str, limits: TakeLimits = TakeLimits(), *, attempt: int = 1, reached_token_cap: bool = False
) -> TakeCheck:
    """Check one take of `text`, as it came from the synthesizer.

    Args:
        reached_token_cap: the speech model stopped because it may say no more, not because it was done.
    """
    import numpy as np

    from stages.sound.trim import trim

    expected = max(words_spoken(text), 1) * NATURAL_S_PER_WORD
    problems: list[Problem] = []
    if reached_token_cap:
        problems.append(Problem("token_cap", "the speech model was stopped at its longest take"))
    if not len(clip.samples):
        problems.append(Problem("empty", "the take has no samples"))
        return TakeCheck(attempt, 0.0, expected, tuple(problems))
    finite = np.isfinite(clip.samples)
    if not finite.all():
        problems.append(Problem("non_finite", f"{int((~finite).sum())} samples are no numbers"))
        return TakeCheck(attempt, clip.duration_s, expected, tuple(problems))
    loudest = _loudest_dbfs(clip)
    spoken, _, _ = trim(clip, head_s=0, tail_s=0)
    if loudest < limits.silence_dbfs or not len(spoken.samples):
        problems.append(Problem("silent", f"its loudest moment is {loudest:.0f} dBFS"))
        return TakeCheck(attempt, clip.duration_s, expected, tuple(problems))
    problems += _duration(spoken.duration_s, text, limits)
    problems += _pauses(spoken, limits)
    problems += _clipping(clip, limits)
    if limits.repeats and not _says_itself_again(text):
        problems += _repeated_tail(spoken)
    return TakeCheck(attempt, spoken.duration_s, expected, tuple(problems))


def unjudged(found: TakeCheck) -> TakeCheck:
    """`found` without what is a matter of judgement: only a take that is no sound at all keeps its problem."""
    return replace(found, problems=tuple(p for p in found.problems if p.slug in ("empty", "non_finite", "silent")))


def best(checks: Sequence[TakeCheck]) -> TakeCheck | None:
    """The take to keep, or None when none may be aired.

    The rule: of those without a fatal problem, the one with the fewest problems; then the one whose duration is
    nearest, as a ratio, to a natural pace; then the first.
    """

    def rank(found: TakeCheck) -> tuple:
        off = abs(math.log(max(found.duration_s, 1e-3) / found.expected_s))
        return len(found.problems), off, found.attempt

    return min((c for c in checks if c.usable), key=rank, default=None)


def words_spoken(text: str) -> int:
    """How many words `text` is when spoken; digits go two to a word (`1987` is two, `7:30` is two), as do
    characters of scripts that put no spaces between words."""
    text, unspaced = _UNSPACED.subn(" ", _TAG.sub(" ", text))
    count = math.ceil(unspaced / 2)
    for word in _WORD.findall(text):
        for piece in re.split(r"[-:.,]+", word):
            digits = sum(c.isdigit() for c in piece)
            count += math.ceil(digits / 2) or bool(piece)
    return count


def _loudest_dbfs(clip: Clip) -> float:
    import numpy as np

    from stages.sound.clip import decibels

    frame = max(1, clip.sample_rate // 20)
    padded = np.pad(clip.samples.astype(np.float64), (0, -len(clip.samples) % frame))
    return decibels(float(np.sqrt(np.square(padded.reshape(-1, frame)).mean(1).max())))


def _duration(seconds: float, text: str, limits: TakeLimits) -> list[Problem]:
    words, sounds = words_spoken(text), len(_TAG.findall(text))
    least = words * limits.least_s_per_word - limits.margin_s
    most = words * limits.most_s_per_word + sounds * 2.0 + limits.margin_s
    if seconds < least:
        return [Problem("too_short", f"{seconds:.1f} s for {words} words, at least {least:.1f} s is speech")]
    if seconds > most:
        return [Problem("too_long", f"{seconds:.1f} s for {words} words, at most {most:.1f} s is speech")]
    return []


def _pauses(spoken: Clip, limits: TakeLimits) -> list[Problem]:
    import numpy as np

    from stages.sound.trim import FRAME_S, silent_frames

    heard = np.flatnonzero(~silent_frames(spoken))
    longest = float(np.diff(heard).max(initial=1) - 1) * FRAME_S
    return [Problem("long_pause", f"{longest:.1f} s of silence inside")] if longest > limits.pause_s else []


def _clipping(clip: Clip, limits: TakeLimits) -> list[Problem]:
    import numpy as np

    share = float((np.abs(clip.samples) >= 0.999).mean())
    return [Problem("clipped", f"{share:.2%} of the samples are at full scale")] if share > limits.clipped_share else []


def _says_itself_again(text: str) -> bool:
    """Whether the script's own end repeats ("over and over and over again"), so that a repeating tail is asked for."""
    words = [w.lower().strip(".,:-'’") for w in _WORD.findall(text)]
    ends = [words[: len(words) - more] for more in range(3)]
    return any(end[-2 * n : -n] == end[-n:] for end in ends for n in range(1, min(12, len(end) // 2) + 1))


def _repeated_tail(spoken: Clip) -> list[Problem]:
    from stages.sound.repeats import repeated_tail

    found = repeated_tail(spoken)
    if not found:
        return []
    return [Problem("repeated_tail", f"the last {found.period_s:.2f} s come {found.times} times over")]
