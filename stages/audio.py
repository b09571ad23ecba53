"""audio: speaks the chosen script of every link that passed, checks each take, masters it and writes its file.

The file is in place before its record is kept, so a record always has its file; a file without a record (the run was
killed in between) is written again under the same name.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from engine.errors import RowError, UserError, disk_error
from engine.job import Job
from engine.records import Output, Request
from engine.stage import Stage
from stages.desk import Desk
from stages.link import Link
from stages.sound.settings import EXTENSIONS, SoundSettings
from stages.takes import TakeLimits

FOLDER = "takes"  # of the checkpoint; the stage's shards are in `audio`


def stages(job: Job) -> list[Stage]:
    """The synthesizer's own stages, the last of which is `Audio`; `conf/tts/*.yaml` names their maker."""
    target = job.config.tts.get("_target_", "")
    module, _, name = target.rpartition(".")
    try:
        make = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as e:
        raise UserError(f"no such synthesizer '{target}' ({e})", "tts._target_", "choose one with tts=NAME") from e
    options = OmegaConf.to_container(job.config.tts, resolve=True)
    del options["_target_"]
    return make(job, **options)


@dataclass
class Tries:
    """A link's takes in this run: what was found on each, the samples of the best so far kept."""

    link: Link
    checks: list[Any] = field(default_factory=list)
    clips: list[Any] = field(default_factory=list)


class Audio(Stage):
    """Requests: one take of the chosen script of every passed link. A synthesizer's module subclasses it.

    Attributes:
        retakes: how many more takes are tried when one fails its checks; 0 for a synthesizer that would only say the
            same again.
    """

    name = "audio"
    reads = ("generate", "audit")
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
        least, most = audio.seconds_per_word
        self.limits = TakeLimits(least_s_per_word=least, most_s_per_word=most)

    def payload(self, link: Link, script: str) -> dict[str, Any]:
        """What the synthesizer is sent for one take."""
        raise NotImplementedError

    def requests(self) -> Iterator[Request]:
        """A take for every link whose scripts are settled and passed."""
        corpus = self.desk.corpus()
        sound = {"sound": asdict(self.settings), "limits": asdict(self.limits)}
        for link in self.desk.links():
            outcome = self.desk.outcome(link, corpus)
            if (pick := outcome.pick) is not None:
                yield Request(link.key, self.payload(link, pick.script), sound, Tries(link))

    def output(self, request: Request, output: Output) -> dict[str, Any]:
        """Checks the take, masters it and writes the file.

        Raises:
            RowError: `bad_take`, where no try may be aired, or one more is to be made.
        """
        from stages import takes
        from stages.sound.clip import Clip

        tries: Tries = request.context
        clip = Clip(output.value["samples"], output.value["sample_rate"])
        found = takes.check(
            clip,
            request.payload["text"],
            self.limits,
            attempt=len(tries.checks) + 1,
            reached_token_cap=output.value.get("reached_token_cap", False),
        )
        tries.checks.append(found)
        tries.clips.append(clip)
        if not found.clean and len(tries.checks) <= self.retakes:
            raise RowError("retake", _problems(found))
        best = takes.best(tries.checks)
        if best is None:
            raise RowError("bad_take", f"none of {len(tries.checks)} takes may be aired: {_problems(tries.checks[-1])}")
        return {**self._write(tries, best), "sample_rate": clip.sample_rate}

    def _write(self, tries: Tries, best: Any) -> dict[str, Any]:
        from stages.sound.master import master, write
        from stages.sound.naming import file_name
        from stages.sound.tags import Tags

        link = tries.link
        name = Path(FOLDER) / file_name(link.key, self.settings.format)
        mastered = master(tries.clips[tries.checks.index(best)], self.settings)
        title = f"{link.kind}: {link.song.title}" if link.song else f"{link.kind}: {link.key.rpartition('/')[2]}"
        tags = Tags(link.dj.name, title, self.desk.station.name, link.key)
        path = self.job.checkpoint.path / name
        try:
            figures = write(path, mastered, self.settings, tags)
        except OSError as e:
            raise disk_error(e, path) from e
        return {
            "link": link.key,
            "file": name.as_posix(),
            **figures.to_dict(),
            "takes": len(tries.checks),
            "take": best.attempt,
            "problems": [p.to_dict() for p in best.problems],
        }

    def note(self, record: Mapping[str, Any]) -> dict[str, float]:
        """Seconds of audio, for the display."""
        return {"audio_s": record["output"]["duration_s"]} if "output" in record else {}

    def finish(self) -> dict[str, Any]:
        """Remove what a killed run left beside the takes: sound files without a record, and parts of files."""
        shards = self.job.checkpoint.stage(self.name)
        known = {record["output"]["file"] for record in shards.records() if "output" in record}
        root = self.job.checkpoint.path
        for path in (root / FOLDER).rglob("*"):
            is_sound = path.suffix in EXTENSIONS.values() or path.name.startswith(".")
            if path.is_file() and is_sound and path.relative_to(root).as_posix() not in known:
                path.unlink()
        return {}


def _problems(check: Any) -> str:
    return "; ".join(problem.message for problem in check.problems)
