"""eSpeak NG that takes its time, so that a run can be met in mid-stage; it says what eSpeak says."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.records import Output, Request
from stages.tts import espeak
from stages.tts.espeak import EspeakBackend, EspeakSpec


@dataclass(frozen=True)
class SlowSpec:
    """eSpeak, `row_s` seconds a row."""

    row_s: float

    def identity(self) -> Mapping[str, Any]:
        return EspeakSpec().identity()

    def group(self) -> str:
        return "slow"

    def open(self) -> Slow:
        return Slow(self.row_s)


class Slow(EspeakBackend):
    """Waits before every row."""

    def __init__(self, row_s: float):
        super().__init__(EspeakSpec(batch=1))
        self.row_s = row_s

    def steps(self, requests: Iterable[Request]) -> Iterator[list[Output]]:
        for outputs in super().steps(requests):
            time.sleep(self.row_s)
            yield outputs


def stages(job: Any, row_s: float) -> list[Any]:
    """The audio stage, as `tts._target_` may name it."""
    (audio,) = espeak.stages(job)
    audio.backend = lambda: SlowSpec(row_s)
    return [audio]
