"""audit: the auditor LLM scores every script as JSON bound to the rubric's schema; code checks what code can."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson
from omegaconf import OmegaConf

from engine.errors import RowError
from engine.job import Job
from engine.records import Output, Request, derive_seed
from engine.session import LlmSpec
from engine.stage import Stage
from stages.desk import Desk, Draft
from stages.generate import llm_spec
from stages.link import Link
from stages.rules import check
from stages.verdict import decide


def stages(job: Job) -> list[Stage]:
    """The stage, as `conf/stage/audit.yaml` names it; before it one that takes in `audit.scripts`, where there are."""
    if not job.config.audit.scripts:
        return [Audit(job)]
    from stages.given import GivenScripts

    return [GivenScripts(job), Audit(job)]


@dataclass
class _Subject:
    """What a verdict is on; `longer` once its answer was cut off and asked for again with more tokens."""

    link: Link
    script: str
    longer: bool = False


class Audit(Stage):
    """Requests: `audit.votes` verdicts on every candidate written."""

    name = "audit"
    reads = ("generate",)
    needs = ("generate",)

    def __init__(self, job: Job):
        super().__init__(job)
        self.desk = Desk.of(job)
        self.sampling = OmegaConf.to_container(job.config.auditor.sampling, resolve=True)
        self._schemas = {name: kind.rubric.schema() for name, kind in self.desk.station.kinds.items()}
        self._rubrics = {name: kind.rubric.to_dict() for name, kind in self.desk.station.kinds.items()}

    def backend(self) -> LlmSpec:
        """The auditor."""
        return llm_spec(self.job.config.auditor)

    def requests(self) -> Iterator[Request]:
        """Every candidate of every link, up to the first attempt that passed."""
        self.desk.look()
        for link in self.desk.links():
            if (by_hand := self.desk.by_hand(link)) is not None:
                if not self.desk.standing(link).approved:
                    yield from self._votes(link, by_hand)
                continue
            for drafts in self.desk.drafts(link):
                for draft in drafts:
                    if draft.script is not None:
                        yield from self._votes(link, draft)
                if any(draft.passed for draft in drafts):
                    break

    def _votes(self, link: Link, draft: Draft) -> Iterator[Request]:
        prompt = self.desk.prompts.auditor(link, draft.script)
        for key in self.desk.vote_keys(draft.key):
            sampling = {**self.sampling, "seed": derive_seed(self.job.config.seed, "audit", key)}
            payload = {"prompt": prompt, "sampling": sampling, "schema": self._schemas[link.kind]}
            extra = {"script": draft.script, "rubric": self._rubrics[link.kind]}
            yield Request(key, payload, extra, _Subject(link, draft.script))

    def output(self, request: Request, output: Output) -> dict[str, Any]:
        """Keeps the auditor's answer and the verdict made of it and of the rules' hits.

        Raises:
            RowError: `truncated` or `bad_json`, where the answer is no whole JSON; `bad_verdict`, where it is not the
                rubric's. None of these is a failed script.
        """
        subject: _Subject = request.context
        if output.value["finish_reason"] == "length":
            raise RowError(
                "truncated", f"the auditor's answer was cut off after {output.usage['output_tokens']} tokens"
            )
        try:
            answer = orjson.loads(output.value["text"])
        except ValueError as e:
            raise RowError("bad_json", f"the auditor's answer is no JSON: {e}") from e
        rubric = self.desk.rubric(subject.link.kind)
        hits = check(subject.script, subject.link, rubric.rules, self.desk.names)
        return {"link": subject.link.key, "answer": answer, "verdict": decide(rubric, answer, hits)}

    def retry(self, request: Request, error: Mapping[str, Any]) -> Request | None:
        """A cut-off answer is asked for once more, with twice the tokens."""
        if error["kind"] != "truncated" or request.context.longer:
            return None
        sampling = dict(request.payload["sampling"])
        sampling["max_tokens"] = 2 * sampling.get("max_tokens", 256)
        context = replace(request.context, longer=True)
        return replace(request, payload={**request.payload, "sampling": sampling}, context=context)

    def note(self, record: Mapping[str, Any]) -> dict[str, float]:
        """Counts passes for the display."""
        return {"passed": float(record["output"]["verdict"]["passed"])} if "output" in record else {}

    def finish(self) -> dict[str, Any]:
        """Pass rates and scores, which a run without a report is compared by."""
        from stages.summary import outcomes, script_figures

        return script_figures(self.desk, list(outcomes(self.desk)))
