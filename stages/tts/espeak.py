"""eSpeak NG, the embedded synthesizer: no weights, no GPU, intelligible, some hundred times faster than real time.

A request's payload is `{"text": str, "voice": {"voice": "en-gb", "rate": 165, …}}`, the voice as
`EspeakSpec.voice_for` completes it. An output's value is `{"samples": float32 numpy [n] in [-1, 1), "sample_rate":
int}`. The same payload gives the same samples.
"""

from __future__ import annotations

import difflib
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from itertools import islice
from typing import Any, Self

from engine.backend import BackendStats
from engine.errors import EngineError, RowError, UserError
from engine.records import Output, Request

NUMBERS = {  # what may be set besides `voice`: default, least, most
    "rate": (155, 80, 450),  # words a minute, nominally; short words make it 4 a second
    "pitch": (50, 0, 99),
    "range": (50, 0, 99),  # of the pitch; 0 is monotone
    "volume": (100, 0, 200),
    "word_gap": (0, 0, 500),  # pause between words, in units of 10 ms at the default rate
}


@dataclass(frozen=True, slots=True)
class EspeakSpec:
    """How the station's DJs speak where their own `tts.espeak` settings say nothing.

    Attributes:
        voice: language, name or identifier of an eSpeak voice, with `+variant` if wanted: `en-gb`, `en-us+f3`.
        rate, pitch, range, volume, word_gap: see `NUMBERS`.
        batch: how many utterances are given back together.
    """

    voice: str = "en-gb"
    rate: int = 155
    pitch: int = 50
    range: int = 50
    volume: int = 100
    word_gap: int = 0
    batch: int = 8

    def voice_for(
        self, settings: Mapping[str, Any] | None = None, where: str = "tts", language: str | None = None
    ) -> dict[str, Any]:
        """The complete `voice` part of a payload: `settings` over this spec.

        Args:
            settings: a DJ's own, any of `voice`, `rate`, `pitch`, `range`, `volume`, `word_gap`.
            where: named in errors, e.g. `djs/dot/dj.yaml: tts.espeak`.
            language: of the DJ; picks the voice where `settings` names none and this spec's does not speak it.

        Raises:
            UserError: unknown setting or voice, or a number out of its range.
        """
        settings = dict(settings or {})
        for name in settings:
            if name != "voice" and name not in NUMBERS:
                fix = _did_you_mean(str(name), ["voice", *NUMBERS]) or f"known are voice, {', '.join(NUMBERS)}"
                raise UserError(f"unknown eSpeak setting {name!r}", where, fix)
        voice = settings.get("voice")
        if voice is None:
            mine = self.voice.lower().partition("+")[0]
            # `en` is content with any English; `en-us` is not.
            voice = language if language and not f"{mine}-".startswith(f"{language.lower()}-") else self.voice
        return resolve_voice({n: getattr(self, n) for n in NUMBERS} | settings | {"voice": voice}, where)

    def identity(self) -> dict[str, Any]:
        """Version of the synthesizer and its data; everything else is in the payload."""
        from stages.tts import espeak_library

        return {"synthesizer": f"espeak-ng {espeak_library.version()}"}

    def group(self) -> str:
        """All eSpeak requests go through one backend."""
        return "espeak"

    def open(self) -> EspeakBackend:
        """A backend, not yet entered."""
        return EspeakBackend(self)


def resolve_voice(settings: Mapping[str, Any], where: str = "voice") -> dict[str, Any]:
    """`settings` with every setting present, checked.

    Raises:
        UserError: unknown voice (with the nearest known), or a number out of its range.
    """
    from stages.tts import espeak_library

    name = str(settings.get("voice", "en-gb"))
    if espeak_library.find_voice(name) is None:
        raise UserError(f"eSpeak has no voice {name!r}", where, _nearest_voice(name))
    resolved: dict[str, Any] = {"voice": name}
    for setting, (default, least, most) in NUMBERS.items():
        value = settings.get(setting, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
            raise UserError(f"{setting} is {value!r}", where, f"give a number from {least} to {most}")
        resolved[setting] = int(value)
    return resolved


@dataclass(slots=True)
class EspeakBackend:
    """Speaks one utterance after another; any number may be open, in any threads."""

    spec: EspeakSpec = field(default_factory=EspeakSpec)
    stats: BackendStats = field(default_factory=BackendStats)
    _open: bool = False

    def __enter__(self) -> Self:
        started = time.perf_counter()
        # The library is loaded for each utterance and unloaded after it (see espeak_library), so that there is no
        # footprint to give back; this says early when it is missing.
        self.stats.extra = {"synthesizer": self.spec.identity()["synthesizer"], "audio_seconds": 0.0, "speak_s": 0.0}
        self.stats.load_s = time.perf_counter() - started
        self._open = True
        return self

    def __exit__(self, *exc) -> None:
        self._open = False

    def steps(self, requests: Iterable[Request]) -> Iterator[list[Output]]:
        """Speak `requests` in order, `spec.batch` at a time.

        Raises:
            UserError: a request names a voice or a number eSpeak does not have.
        """
        if not self._open:
            raise EngineError("the eSpeak backend is not open")
        waiting = iter(requests)
        while group := list(islice(waiting, max(1, self.spec.batch))):
            yield [self._output(request) for request in group]

    def _output(self, request: Request) -> Output:
        try:
            value = self._speak(request)
        except RowError as error:
            return Output(request.key, error=error.to_dict())
        seconds = len(value["samples"]) / value["sample_rate"]
        return Output(request.key, value, {"characters": len(request.payload["text"]), "audio_seconds": seconds})

    def _speak(self, request: Request) -> dict[str, Any]:
        import numpy as np

        from stages.tts import espeak_library

        text = _plain(request.payload.get("text") or "")
        if not any(c.isalnum() for c in text):
            raise RowError("empty_script", "there is nothing to speak in the script")
        voice = resolve_voice(request.payload.get("voice") or {}, request.key)
        started = time.perf_counter()
        pcm, sample_rate = espeak_library.speak(
            text, espeak_library.find_voice(voice["voice"]), {name: voice[name] for name in NUMBERS}
        )
        self.stats.extra["speak_s"] += time.perf_counter() - started
        samples = np.frombuffer(pcm, np.int16).astype(np.float32) / 32768
        if not samples.any():  # some voices have no dictionary in the wheel
            raise RowError("no_audio", f"eSpeak's voice {voice['voice']!r} gave no sound for the script")
        self.stats.extra["audio_seconds"] += len(samples) / sample_rate
        return {"samples": samples, "sample_rate": sample_rate}


def _plain(text: str) -> str:
    """Control characters as spaces: eSpeak obeys commands behind \\x01, and ends at \\0."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)


def _nearest_voice(name: str) -> str:
    from stages.tts import espeak_library

    base, plus, variant = name.strip().lower().partition("+")
    if plus and base in espeak_library.voices():
        return _did_you_mean(variant, espeak_library.variants(), f"{base}+") or "known variants: f1-f5, m1-m8, whisper"
    return _did_you_mean(base, espeak_library.voices()) or "give a language such as en-gb, en-us, de, fr"


def _did_you_mean(name: str, known: Iterable[str], before: str = "") -> str:
    near = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.5)
    return f"did you mean {before}{near[0]}?" if near else ""


def stages(job: Any, **options: Any) -> list[Any]:
    """The audio stage with eSpeak NG, as `conf/tts/espeak.yaml` names it.

    Args:
        options: fields of `EspeakSpec`.

    Raises:
        UserError: an unknown option, or a DJ's settings that eSpeak cannot follow; all DJs' together.
    """
    from stages.audio import Audio

    known = [f.name for f in fields(EspeakSpec)]
    for name in options:
        if name not in known:
            raise UserError(f"no such option of eSpeak: {name!r}", f"tts.{name}", _did_you_mean(str(name), known))
    spec = EspeakSpec(**options)

    class EspeakAudio(Audio):
        """Links spoken by eSpeak NG; it says the same text the same way, so that a retake would be no other."""

        def __init__(self, job: Any):
            super().__init__(job)
            voices, errors = {}, []
            for dj in self.desk.station.djs.values():
                where = f"{self.desk.station.path / 'djs' / dj.id / 'dj.yaml'}: tts.espeak"
                try:
                    voices[dj.id] = spec.voice_for(dj.tts.get("espeak"), where, dj.language)
                except UserError as e:
                    errors.append(e)
            if errors:
                raise UserError.of_many(errors)
            self.voices = voices

        def backend(self) -> EspeakSpec:
            """eSpeak NG."""
            return spec

        def payload(self, take: Any) -> dict[str, Any]:
            """Text and the DJ's voice."""
            return {"text": take.script, "voice": self.voices[take.link.dj.id]}

    return [EspeakAudio(job)]
