"""A piece of mono sound in memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """Mono samples and their rate.

    Attributes:
        samples: float32 `[n]`, full scale 1.0.
        sample_rate: Hz.

    Raises:
        ValueError: samples of another shape, or a rate that is no rate.
    """

    samples: np.ndarray
    sample_rate: int

    def __post_init__(self):
        samples = np.ascontiguousarray(self.samples, np.float32)
        if samples.ndim != 1 or self.sample_rate <= 0:
            raise ValueError(f"a clip is mono samples [n] and a rate, not {samples.shape} at {self.sample_rate} Hz")
        object.__setattr__(self, "samples", samples)

    @property
    def duration_s(self) -> float:
        """Seconds."""
        return len(self.samples) / self.sample_rate

    @property
    def peak(self) -> float:
        """Largest absolute sample; 0 for an empty clip."""
        return float(np.abs(self.samples).max(initial=0.0))

    def with_samples(self, samples: np.ndarray) -> Clip:
        """Other samples at the same rate."""
        return Clip(samples, self.sample_rate)


def decibels(ratio: float) -> float:
    """20·log10 of an amplitude ratio; -inf for 0."""
    return 20 * float(np.log10(ratio)) if ratio > 0 else float("-inf")


def amplitude(db: float) -> float:
    """The amplitude ratio of `db` decibels."""
    return float(10 ** (db / 20))
