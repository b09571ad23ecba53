"""What every take is brought to before it goes on air."""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import UserError

EXTENSIONS = {"wav": ".wav", "flac": ".flac", "mp3": ".mp3", "opus": ".opus"}
FORMATS = tuple(EXTENSIONS)
RATES = (8000, 16000, 22050, 24000, 32000, 44100, 48000)


@dataclass(frozen=True, slots=True)
class SoundSettings:
    """Settings of the chain trim → resample → loudness → encode.

    Attributes:
        format: `wav`, `flac`, `mp3` or `opus`.
        sample_rate: Hz, one of `RATES`; None keeps the synthesizer's. Opus has 48, 24, 16 and 8 kHz: the nearest
            above is taken.
        bitrate_kbps: of MP3 and Opus; None for a rate that does speech no harm (MP3 96, Opus 64).
        bit_depth: of WAV and FLAC, 16 or 24.
        target_lufs: integrated loudness (ITU-R BS.1770) of the finished file.
        ceiling_dbtp: highest true peak of the finished file, dB.
        max_limiting_db: how far the limiter may pull peaks down to reach the target; beyond it the take stays
            quieter than the target.
        silence_db: what is so far below the take's loudest moment is silence at its ends.
        head_s, tail_s: how much of that silence stays.
        fade_in_s, fade_out_s: raised-cosine fades at the ends.
    """

    format: str = "flac"
    sample_rate: int | None = 24000
    bitrate_kbps: int | None = None
    bit_depth: int = 16
    target_lufs: float = -18.0
    ceiling_dbtp: float = -1.0
    max_limiting_db: float = 12.0
    silence_db: float = -45.0
    head_s: float = 0.05
    tail_s: float = 0.15
    fade_in_s: float = 0.005
    fade_out_s: float = 0.03

    def check(self, where: str = "audio") -> None:
        """Raises: UserError naming every setting that makes no sense, each under `where`."""
        wrong = [
            UserError(f"{name} is {getattr(self, name)!r}", f"{where}.{name}", fix)
            for name, good, fix in (
                ("format", self.format in FORMATS, f"one of {', '.join(FORMATS)}"),
                (
                    "sample_rate",
                    self.sample_rate is None or self.sample_rate in RATES,
                    f"null or one of {', '.join(map(str, RATES))}",
                ),
                ("bitrate_kbps", self.bitrate_kbps is None or 8 <= self.bitrate_kbps <= 320, "null or 8 to 320"),
                ("bit_depth", self.bit_depth in (16, 24), "16 or 24"),
                ("target_lufs", -40 <= self.target_lufs <= -8, "-40 to -8 LUFS"),
                ("ceiling_dbtp", -12 <= self.ceiling_dbtp <= -0.1, "-12 to -0.1 dBTP"),
                ("max_limiting_db", 0 <= self.max_limiting_db <= 24, "0 to 24 dB"),
                ("silence_db", -90 <= self.silence_db <= -20, "-90 to -20 dB"),
                *((n, 0 <= getattr(self, n) <= 5, "0 to 5 seconds") for n in ("head_s", "tail_s")),
                *((n, 0 <= getattr(self, n) <= 1, "0 to 1 second") for n in ("fade_in_s", "fade_out_s")),
            )
            if not good
        ]
        if wrong:
            raise UserError.of_many(wrong)
