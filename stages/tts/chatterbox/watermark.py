"""Resemble's Perth watermark, which upstream's `generate` puts into every file: inaudible, and it survives MP3.

Applied once to a whole take. It must not go missing in silence, as it does upstream where resemble-perth cannot import
`pkg_resources` (setuptools 81 took it away): then loading fails loudly here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import RowError, UserError

if TYPE_CHECKING:
    import numpy as np


class Watermark:
    """The loaded watermarker; usable from several threads.

    Args:
        where: config path named in errors.

    Raises:
        UserError: it cannot be loaded.
    """

    def __init__(self, where: str = "tts.watermark"):
        fix = "install resemble-perth and setuptools<81, or switch the watermark off"
        try:
            from perth.perth_net.perth_net_implicit.perth_watermarker import PerthImplicitWatermarker

            self._perth = PerthImplicitWatermarker()
        except Exception as e:
            cause = f"{type(e).__name__}: {e}".splitlines()[0]
            raise UserError(f"the Perth watermark cannot be loaded ({cause})", where, fix) from e

    def apply(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """`samples` (n,) float32 with the watermark in them, as many as before.

        Raises:
            RowError: the watermark cannot be put in, e.g. too few samples.
        """
        import numpy as np
        import torch

        try:
            with torch.inference_mode():
                marked = self._perth.apply_watermark(samples, sample_rate=sample_rate)
        except Exception as e:
            raise RowError("watermark_failed", f"the watermark could not be applied: {e}") from e
        # Resampling to the watermark's own rate and back may add or drop a sample.
        return np.pad(marked, (0, max(0, len(samples) - len(marked))))[: len(samples)].astype(np.float32)

    def strength(self, samples: np.ndarray, sample_rate: int) -> float:
        """How surely the watermark is in `samples`: near 1 where it is, near 0 where it is not."""
        import torch

        with torch.inference_mode():
            return float(self._perth.get_watermark(samples, sample_rate=sample_rate, round=False).mean())
