"""audio: speaks the chosen script of every link that passed, checks each take, masters it and writes its file.

The file is in place before its record is kept, so a record always has its file; a file without a record (the run was
killed in between) is written again under the same name. Files go into the checkpoint, or, with `output.url`, to a
shared folder or an object store, straight from the worker that made them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from engine.errors import RowError, disk_error
from engine.job import Job, load_target
from engine.records import Output, Request
from engine.stage import Stage
from stages.desk import Desk
from stages.link import Link
from stages.sound import store
from stages.sound.disk import save
from stages.sound.naming import file_name
from stages.sound.settings import EXTENSIONS, SoundSettings
from stages.sound.tags import Tags
from stages.spoken import ASR, BAD_TAKE, Spoken, take_key
from stages.takes import TakeLimits

FOLDER = "takes"  # of the checkpoint; the stage's shards are in `audio`


def stages(job: Job) -> list[Stage]:
    """The synthesizer's own stages, the last of which is `Audio`; `conf/tts/*.yaml` names their maker."""
    make = load_target(str(job.config.tts.get("_target_")), "tts._target_", "choose a synthesizer with tts=NAME")
    options = OmegaConf.to_container(job.config.tts, resolve=True)
    options.pop("_target_", None)
    return make(job, **options)


@dataclass(frozen=True)
class Take:
    """What a request is to speak.

    Attributes:
        number: 1 for the link's first take.
        candidate: key of the chosen script, and `why` it was chosen.
        capped: whether the speech model was stopped at its longest.
    """

    link: Link
    script: str
    number: int
    candidate: str = ""
    why: str = ""
    capped: bool = False


@dataclass(frozen=True, slots=True)
class TakeFinish:
    """Checks a synthesizer's take, masters it and makes its file, beside the synthesizer: on a cluster, on the worker.

    Attributes:
        script, number, capped: of the take.
        checks: whether a take that fails them is refused.
        file: path or URL the file is put at; None gives its bytes back as `blob`.
    """

    script: str
    number: int
    capped: bool
    limits: TakeLimits
    checks: bool
    settings: SoundSettings
    tags: Tags
    file: str | None

    def __call__(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """Of `{"samples", "sample_rate"}`, figures of the file and of the check, and where it is or its bytes.

        Raises:
            RowError: `bad_take`, where it may not be aired; no file is written.
            VoicetrackError: the file cannot be written.
        """
        from stages import takes
        from stages.sound.clip import Clip
        from stages.sound.master import master, render

        clip = Clip(value["samples"], value["sample_rate"])
        found = takes.check(clip, self.script, self.limits, attempt=self.number, reached_token_cap=self.capped)
        if not self.checks:
            found = takes.unjudged(found)
        if not found.usable:
            message = "; ".join(problem.message for problem in found.problems)
            raise RowError(BAD_TAKE, message, problems=[p.to_dict() for p in found.problems])
        blob, figures = render(master(clip, self.settings), self.settings, self.tags)
        made = {
            **figures.to_dict(),
            "spoken_s": round(found.duration_s, 3),
            "expected_s": round(found.expected_s, 3),
            "problems": [p.to_dict() for p in found.problems],
        }
        if self.file is None:
            return {**made, "blob": blob}
        store.put(self.file, blob)
        return {**made, "file": self.file}


class Audio(Stage):
    """Requests: takes of the chosen script of every passed link. A synthesizer's module subclasses it.

    Attributes:
        retakes: how many more takes are made when one is not good; 0 for a synthesizer that would only say the same
            again.
    """

    name = "audio"
    reads = ("generate", "audit", "audio", ASR)
    needs = ("audit",)
    retakes = 0

    def __init__(self, job: Job):
        super().__init__(job)
        self.desk = Desk.of(job)
        audio = job.config.audio
        self.settings = SoundSettings(
            format=audio.format.value,
            sample_rate=audio.sample_rate,
            target_lufs=audio.lufs,
            ceiling_dbtp=audio.true_peak_dbtp,
        )
        self.settings.check("audio")
        self.url: str | None = job.config.output.url
        if self.url:
            store.check(self.url)
            if job.label:  # a sweep's points would write over each other's takes
                self.url = f"{self.url.rstrip('/')}/{job.checkpoint.path.name}"
        least, most = audio.seconds_per_word
        self.limits = TakeLimits(least_s_per_word=least, most_s_per_word=most)
        self.spoken = Spoken(job.checkpoint, self.retakes)

    @abstractmethod
    def payload(self, take: Take) -> dict[str, Any] | None:
        """What the synthesizer is sent for one take; None while an earlier half of it is not made."""

    def requests(self) -> Iterator[Request]:
        """The takes wanted of every link whose scripts are settled and passed."""
        limits = asdict(self.limits) if self.job.config.audio.checks else None
        sound = {"sound": asdict(self.settings), "limits": limits}
        for take in wanted_takes(self.desk, self.spoken):
            if (payload := self.payload(take)) is not None:
                key = take_key(take.link.key, take.number)
                take = self.context(take)
                yield Request(key, payload, {"script": take.script, **sound}, take, self._finish(key, take))

    def context(self, take: Take) -> Take:
        """What `output` gets back; a synthesizer in two halves adds what the first one found."""
        return take

    def _finish(self, key: str, take: Take) -> TakeFinish:
        """What makes a file of the synthesizer's samples, where these are."""
        link, name = take.link, self._file(key)
        title = f"{link.kind}: {link.song.title}" if link.song else f"{link.kind}: {link.key.rpartition('/')[2]}"
        return TakeFinish(
            take.script,
            take.number,
            take.capped,
            self.limits,
            self.job.config.audio.checks,
            self.settings,
            Tags(link.dj.name, title, self.desk.station.name, link.key),
            self.url and name,
        )

    def _file(self, key: str) -> str:
        """Where a take's file is, as its record names it: in the checkpoint, or a URL or path under `output.url`."""
        name = (Path(FOLDER) / file_name(key, self.settings.format)).as_posix()
        return store.place(self.url, name) if self.url else name

    def output(self, request: Request, output: Output) -> dict[str, Any]:
        """Writes the file, unless it was written where the samples were."""
        take: Take = request.context
        made = dict(output.value)
        name = made.pop("file", None) or self._file(take_key(take.link.key, take.number))
        if (blob := made.pop("blob", None)) is not None:
            path = self.job.checkpoint.path / name
            try:
                save(path, blob)
            except OSError as e:
                raise disk_error(e, path) from e
        about = {"link": take.link.key, "take": take.number, "candidate": take.candidate, "why": take.why}
        return {**about, "file": name, **made}

    def adopt(self, output: dict[str, Any], other: Job) -> dict[str, Any] | None:
        """The take with its file, copied from the other job's checkpoint."""
        name = output["file"]
        if self.url is None:
            try:
                save(self.job.checkpoint.path / name, (other.checkpoint.path / name).read_bytes())
            except FileNotFoundError:
                return None
            except OSError as e:
                raise disk_error(e, self.job.checkpoint.path / name) from e
        return output

    def note(self, record: Mapping[str, Any]) -> dict[str, float]:
        """Seconds of audio, for the display."""
        return {"audio_s": record["output"]["duration_s"]} if "output" in record else {}

    def finish(self) -> dict[str, Any]:
        """Remove what a killed run left beside the takes: sound files without a record, and parts of files.

        In the checkpoint only: what is under `output.url` may be another run's.
        """
        shards = self.job.checkpoint.stage(self.name)
        known = {record["output"]["file"] for record in shards.records() if "output" in record}
        root = self.job.checkpoint.path
        for path in (root / FOLDER).rglob("*"):
            is_sound = path.suffix in EXTENSIONS.values() or path.name.startswith(".")
            if path.is_file() and is_sound and path.relative_to(root).as_posix() not in known:
                path.unlink()
        return {}


def wanted_takes(desk: Desk, spoken: Spoken) -> Iterator[Take]:
    """The takes wanted of every link whose scripts are settled and passed, in the order of links."""
    desk.look()
    corpus = desk.corpus()
    for link in desk.links():
        outcome = desk.outcome(link, corpus)
        if (pick := outcome.pick) is not None:
            for number in spoken.wanted(link.key, pick.script):
                yield Take(link, pick.script, number, pick.key, outcome.choice.reason)
