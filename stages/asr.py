"""asr: a Whisper listens to every take; one whose words are too far from its script went wrong and is spoken again.

Off unless `audio.asr.model` names a Whisper. Its error records count against takes as those of the take checks do
(`stages.spoken`): another take is wanted, up to `audio.retakes`, and a take that is not understood is never aired. Its
file stays beside the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import OmegaConf

from engine.errors import RowError, UserError
from engine.job import Job
from engine.records import Output, Request, derive_seed
from engine.stage import Stage
from stages.asr_whisper import WhisperSpec
from stages.audio import wanted_takes
from stages.desk import Desk
from stages.spoken import ASR, BAD_TAKE, Spoken, take_identity, take_key

SAMPLING = {"temperature": 0.0, "max_tokens": 224}  # half of Whisper's context, upstream's own bound
FIGURE = "word_error_rate"
SHOWN = 120  # characters of what was heard, in an error


def stages(job: Job) -> list[Stage]:
    """The stage, as `conf/stage/asr.yaml` names it; none where no Whisper is configured.

    Raises:
        UserError: this stage alone is asked for, and no Whisper is configured.
    """
    if job.config.audio.asr.model:
        return [Asr(job)]
    if list(job.config.stages) == [ASR]:
        raise UserError("no Whisper to listen with", "audio.asr.model", "name one, such as openai/whisper-small")
    return []


@dataclass(slots=True)
class Hearing(Request):
    """A request to listen to a take; where its file lies decides nothing."""

    def inputs(self, identity: Mapping[str, Any]) -> dict[str, str]:
        """Hash of each named part but the path: a checkpoint may be moved."""
        return {name: hashed for name, hashed in Request.inputs(self, identity).items() if name != "path"}


class Asr(Stage):
    """Requests: every take made so far of the scripts picked now."""

    name = ASR
    reads = ("generate", "audit", "audio")
    needs = ("audio",)

    def __init__(self, job: Job):
        super().__init__(job)
        self.desk = Desk.of(job)
        self.spoken = Spoken(job.checkpoint, job.config.audio.retakes)
        self.config = job.config.audio.asr
        self.sampling = SAMPLING | OmegaConf.to_container(self.config.sampling, resolve=True)

    def backend(self) -> WhisperSpec:
        """The Whisper."""
        plain = OmegaConf.to_container(self.config, resolve=True)
        return WhisperSpec(plain["model"], plain["revision"], plain["engine"], plain["env"])

    def requests(self) -> Iterator[Request]:
        """Takes in the order of links; a take made anew is heard anew."""
        for take in wanted_takes(self.desk, self.spoken):
            record = self.spoken.record(take.link.key, take.script, take.number)
            if record is None or "output" not in record:
                continue
            key = take_key(take.link.key, take.number)
            payload = {
                "path": self._where(record["output"]["file"]),
                "script": take.script,
                "language": self.config.language or take.link.dj.language,
                "sampling": {**self.sampling, "seed": derive_seed(self.job.config.seed, "asr", key)},
            }
            extra = {"take": take_identity(record), "max_wer": self.config.max_wer}
            yield Hearing(key, payload, extra)

    def _where(self, file: str) -> str:
        """Where a take's file is: `output.url` may have put it elsewhere than in the checkpoint."""
        return file if "://" in file else str((self.job.checkpoint.path / file).resolve())

    def output(self, request: Request, output: Output) -> dict[str, Any]:
        """What was heard, and how far it is from the script.

        Raises:
            RowError: `bad_take`, where it is too far.
        """
        found = output.value
        rate = found["errors"] / max(found["words"], 1)
        if rate > self.config.max_wer:
            heard = found["heard"]
            heard = f"“{heard[:SHOWN]}{'…' if len(heard) > SHOWN else ''}”" if heard else "nothing"
            raise RowError(
                BAD_TAKE,
                f"word error rate {rate:.2f}, more than {self.config.max_wer:g}: {heard} was heard",
                wer=round(rate, 4),
                **found,
            )
        return {"wer": round(rate, 4), **found}

    def finish(self) -> Mapping[str, Any]:
        """`word_error_rate` over all takes that were heard, those that went wrong included, for a sweep that wants it
        as its `objective`."""
        if self.job.config.objective != FIGURE:
            return {}
        errors = words = 0
        for record in self.job.checkpoint.stage(self.name).records():
            found = record.get("output") or record["error"]
            errors, words = errors + found.get("errors", 0), words + found.get("words", 0)
        return {FIGURE: round(errors / words, 4)} if words else {}
