"""Chatterbox as two stages: `tokens` (T3 on vLLM, a request a chunk) and `audio` (S3Gen in batches, a request a take).

Each has shards of its own, so that a killed run keeps every chunk T3 has finished, and vocoding again (another format,
another loudness) samples nothing again. The runner closes T3's engine before S3Gen is loaded, unless `keep_loaded`.
"""

from __future__ import annotations

import difflib
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

from engine.backend import Backend
from engine.errors import RowError, UserError
from engine.job import Job
from engine.records import Output, Request, derive_seed
from engine.stage import Stage
from stages.audio import Audio, Take, wanted_takes
from stages.desk import Desk
from stages.link import DJ, Link
from stages.spoken import ASR, TOKENS, Spoken, take_key
from stages.tts.chatterbox.checkpoint import locate
from stages.tts.chatterbox.t3_sampling import resolve
from stages.tts.chatterbox.text import Chunk, spoken_chunks
from stages.tts.chatterbox.variants import variant_named
from stages.tts.chatterbox.voices import BUILT_IN, Clip, VoiceStore, check_clip


@dataclass(frozen=True)
class Options:
    """The `tts` config of the Chatterbox choices.

    Attributes:
        variant: `original`, `turbo` or `multilingual`.
        checkpoint: hub id or folder of upstream's file names.
        revision: of a hub id.
        sampling: of T3, see `t3_sampling`; a DJ's own go over it.
        engine, env: further arguments and environment variables of T3's vLLM engine.
        vocoder: `frames`, `flow`, `steps`, `device` of S3Gen, see `s3gen_backend.S3GenSpec`.
        prompt_seconds: how much of a DJ's clip S3Gen is shown with each utterance.
        watermark: put Perth's watermark into every take, as upstream does.
        keep_loaded: T3 and S3Gen stay loaded side by side until all takes are made, so that rounds of retakes load
            neither again; memory must hold both.
        cache: folder for what is made once: converted weights, voices.
    """

    variant: str
    checkpoint: str
    revision: str | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    engine: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    vocoder: Mapping[str, Any] = field(default_factory=dict)
    prompt_seconds: float = 10.0
    watermark: bool = True
    keep_loaded: bool = False
    cache: str = "~/.cache/voicetrack"


def stages(job: Job, **options: Any) -> list[Stage]:
    """The two stages, as `conf/tts/chatterbox*.yaml` name them.

    Raises:
        UserError: an unknown option or sampling parameter, or a DJ's clip that cannot be used; all DJs' together.
    """
    known = [f.name for f in fields(Options)]
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            raise UserError(
                "Chatterbox has no such option", f"tts.{name}", f"did you mean '{near[0]}'?" if near else ""
            )
    speaker = Speaker(Options(**options), Desk.of(job))
    return [Tokens(job, speaker), ChatterboxAudio(job, speaker)]


class Speaker:
    """What both stages need: variant, voices, each DJ's sampling, scripts cut into chunks.

    Raises:
        UserError: a parameter T3 does not have, a DJ's clip that cannot be used.
    """

    def __init__(self, options: Options, desk: Desk):
        self.options, self.desk = options, desk
        self.turbo = variant_named(options.variant).name == "turbo"
        self.sampling: dict[str, dict[str, Any]] = {}
        self.clips: dict[str, Clip] = {}
        resolve(options.sampling, options.variant, "tts.sampling")
        errors = []
        for dj in desk.station.djs.values():
            try:
                self._add(dj)
            except UserError as e:
                errors.append(e)
        if errors:
            raise UserError.of_many(errors)

    def _add(self, dj: DJ) -> None:
        own = dj.tts.get("chatterbox_turbo" if self.turbo else "chatterbox", {})
        where = f"{self.desk.station.path / 'djs' / dj.id / 'dj.yaml'}: tts.chatterbox"
        self.sampling[dj.id] = resolve({**self.options.sampling, **own}, self.options.variant, where)
        if dj.voice is not None:
            self.clips[dj.id] = check_clip(dj.voice, self.options.variant)

    @cached_property
    def store(self) -> VoiceStore:
        """Where conditioned voices are; finding it looks for the weights, on the hub if need be."""
        options = self.options
        found = locate(options.variant, options.checkpoint, options.revision)
        return VoiceStore(found, options.cache, options.prompt_seconds, options.vocoder.get("device"))

    def condition_voices(self) -> None:
        """Make the voice files that are missing."""
        used = {dj.id for dj in self.desk.station.djs.values()}
        self.store.ensure(self.clips.values(), built_in=bool(used - self.clips.keys()))

    def voice(self, link: Link) -> str:
        """Name of the voice file of the link's DJ."""
        clip = self.clips.get(link.dj.id)
        return clip.digest if clip else BUILT_IN

    def chunks(self, link: Link, script: str) -> list[Chunk]:
        """The script as T3 says it, titles and names whole."""
        songs = [song for song in (link.song, link.next_song) if song]
        keep = [name for song in songs for name in (song.title, song.artist)]
        return spoken_chunks(script, link.dj.language, keep, tags=self.turbo)


@dataclass(frozen=True)
class _Voiced(ABC):
    """A spec whose backend is opened once the voices are there; what it is about is found only when asked for."""

    speaker: Speaker

    @property
    @abstractmethod
    def spec(self) -> Any:
        """The spec of T3 or S3Gen itself."""

    @property
    def stays(self) -> str | None:
        """What it may stay open beside, see `engine.staying`: the other half of the same Chatterbox."""
        options = self.speaker.options
        return f"chatterbox {options.variant} {options.checkpoint}" if options.keep_loaded else None

    def identity(self) -> Mapping[str, Any]:
        """That of the spec."""
        return self.spec.identity()

    def group(self) -> str:
        """That of the spec."""
        return self.spec.group()

    def open(self) -> Backend:
        """Condition missing voices, then the spec's backend, whose loading that is part of."""
        began = time.monotonic()
        backend = self.portable().open()
        backend.stats.load_s += time.monotonic() - began
        return backend

    def portable(self) -> Any:
        """Condition missing voices; the spec itself, which finds them in the cache folder."""
        self.speaker.condition_voices()
        return self.spec


class _VoicedT3(_Voiced):
    @cached_property
    def spec(self) -> Any:
        from stages.tts.chatterbox.t3_backend import T3Spec

        options, store = self.speaker.options, self.speaker.store
        return T3Spec(
            str(store.checkpoint.folder),
            options.variant,
            str(store.folder),
            options.cache,
            dict(options.engine),
            {k: str(v) for k, v in options.env.items()},
        )


class _VoicedS3Gen(_Voiced):
    @cached_property
    def spec(self) -> Any:
        from stages.tts.chatterbox.s3gen_backend import S3GenSpec

        options, store = self.speaker.options, self.speaker.store
        try:
            return S3GenSpec(
                str(store.checkpoint.folder),
                options.variant,
                str(store.folder),
                options.cache,
                watermark=options.watermark,
                **options.vocoder,
            )
        except TypeError as e:
            raise UserError(str(e).partition(") ")[2] or str(e), "tts.vocoder", "see docs/chatterbox.md") from e


class Tokens(Stage):
    """Requests: speech tokens of every chunk of every take wanted."""

    name = TOKENS
    reads = ("generate", "audit", "audio", ASR)
    needs = ("audit",)

    def __init__(self, job: Job, speaker: Speaker):
        super().__init__(job)
        self.speaker, self.desk = speaker, Desk.of(job)
        self.spoken = Spoken(job.checkpoint, job.config.audio.retakes)

    def backend(self) -> _VoicedT3:
        """T3 on vLLM."""
        return _VoicedT3(self.speaker)

    def requests(self) -> Iterator[Request]:
        """A request a chunk, in the order of links; a retake has seeds of its own."""
        for take in wanted_takes(self.desk, self.spoken):
            key = take_key(take.link.key, take.number)
            for i, chunk in enumerate(self.speaker.chunks(take.link, take.script)):
                sampling = dict(self.speaker.sampling[take.link.dj.id])
                sampling["seed"] = derive_seed(self.job.config.seed, "speech", key, i)
                payload = {"text": chunk.text, "voice": self.speaker.voice(take.link), "sampling": sampling}
                if self.speaker.options.variant == "multilingual":
                    payload["language"] = take.link.dj.language.partition("-")[0]
                yield Request(f"{key}/{i}", payload)

    def output(self, request: Request, output: Output) -> dict[str, Any]:
        """Keeps the tokens and why they ended.

        Raises:
            RowError: `no_speech`, where there are none.
        """
        if not output.value["tokens"]:
            raise RowError("no_speech", "the speech model said nothing")
        return {**output.value, "text": request.payload["text"]}


class ChatterboxAudio(Audio):
    """Takes vocoded from the tokens of all their chunks."""

    reads = (*Audio.reads, TOKENS)

    def __init__(self, job: Job, speaker: Speaker):
        self.retakes = job.config.audio.retakes
        self.speaker = speaker
        super().__init__(job)
        self.tokens = job.checkpoint.stage(TOKENS)

    def backend(self) -> _VoicedS3Gen:
        """S3Gen."""
        return _VoicedS3Gen(self.speaker)

    def _chunks(self, take: Take) -> list[tuple[Chunk, dict[str, Any]]] | None:
        """Each chunk with its kept tokens; None while one is missing, an error, or of another text."""
        key, found = take_key(take.link.key, take.number), []
        for i, chunk in enumerate(self.speaker.chunks(take.link, take.script)):
            record = self.tokens.get(f"{key}/{i}")
            if record is None or "error" in record or record["output"]["text"] != chunk.text:
                return None
            found.append((chunk, record["output"]))
        return found

    def payload(self, take: Take) -> dict[str, Any] | None:
        """Tokens and pauses of the chunks; None while T3 has not finished them all."""
        chunks = self._chunks(take)
        if not chunks:
            return None
        key = take_key(take.link.key, take.number)
        return {
            "chunks": [{"tokens": kept["tokens"], "pause_ms": chunk.pause_ms} for chunk, kept in chunks],
            "voice": self.speaker.voice(take.link),
            "seed": derive_seed(self.job.config.seed, "voice", key),
        }

    def context(self, take: Take) -> Take:
        """Notes whether T3 had to be stopped in any chunk."""
        return replace(take, capped=any(kept["finish_reason"] == "length" for _, kept in self._chunks(take) or ()))
