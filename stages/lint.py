"""The prompt check: every prompt rendered and held against what it must hold, before any model is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.errors import UserError
from stages.djs import Example
from stages.forecast import parse_spoken_clock
from stages.kinds import Kind
from stages.link import DJ, ClockTime, Forecast, Link, Song
from stages.prompts import Messages, Prompts, bullets, excerpt, opening, quote
from stages.station import Station
from stages.tokens import Context

ERROR, WARNING = "error", "warning"
SHOWN = 20  # findings of one sort that are listed; more are counted


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing the check found.

    Attributes:
        level: `error` (a run would fail or write badly) or `warning`.
        where: file, example or link key.
        problem: what is wrong, one line.
        fix: what to do about it.
    """

    level: str
    where: str
    problem: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.level}: {self.where}: {self.problem}" + (f" ({self.fix})" if self.fix else "")


@dataclass(frozen=True, slots=True)
class LintReport:
    """What the check looked at and found; `longest`: tokens of the longest prompt, which it is, what would fit."""

    prompts: int
    examples: int
    lyrics: int
    longest: tuple[int, str, int | None]
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether there are no errors."""
        return not any(finding.level == ERROR for finding in self.findings)

    def __str__(self) -> str:
        errors = sum(finding.level == ERROR for finding in self.findings)
        head = f"{self.prompts:,} prompts, {self.examples} examples, lyrics in {self.lyrics:,}: "
        head += f"{errors} errors, {len(self.findings) - errors} warnings"
        if self.longest[1]:
            size, which, most = self.longest
            head += f"; longest: {which}, {size:,} tokens" + (f" of {most:,}" if most else "")
        return "\n".join([*map(str, self.findings), head])


def lint(
    station: Station,
    select: Any = None,
    *,
    contexts: Mapping[str, Context] | None = None,
) -> LintReport:
    """Render every selected link's prompts and check them and the DJs' examples.

    Checked: every template fills; every fact is in the prompt, the brief is its last part and complete, nothing is
    left unfilled; lyrics are in where a song has them; system prompts differ between kinds; the examples pass the
    station's own rules; prompts fit the models.

    Args:
        station: the station.
        select: as for `Station.links`.
        contexts: how prompts are counted and what fits, by role (`writer`, `auditor`); four characters count as a
            token, and everything fits, where omitted.

    Raises:
        UserError: where templates do not even compile.
    """
    prompts = Prompts(station)
    findings = _Findings()
    rendered = with_lyrics = 0
    longest: tuple[int, str, int | None] = (0, "", None)
    anything = Context(lambda messages: sum(len(m["content"]) for m in messages) // 4, None, False)
    for link in station.links(select):
        for role in ("writer", "auditor"):
            rendered += 1
            try:
                if role == "writer":
                    messages = prompts.writer(link, _Rejected(), ["Hello again, friends, and welcome"])
                else:
                    messages = prompts.auditor(link, _Rejected.script)
            except UserError as error:
                findings.add(error.where, ERROR, error.problem, error.fix)
                continue
            for problem in _problems(station, link, role, messages):
                findings.add(f"{link.key} ({role})", ERROR, problem)
            with_lyrics += role == "writer" and bool(link.song and link.song.lyrics)
            context = (contexts or {}).get(role, anything)
            size = context.count(messages)
            longest = max(longest, (size, f"{link.key} ({role})", context.most), key=lambda found: found[0])
            if context.most is not None and size > context.most:
                problem = f"the prompt is longer than the {context.most:,} tokens that fit"
                where = f"{link.key} ({role}, {size:,} tokens)"
                findings.add(where, ERROR, problem, "see lyrics_max_chars in kind.yaml")
    for dj in station.djs.values():
        _systems(station, prompts, dj, findings)
    examples = _examples(station, findings)
    for song_id in station.coverage.missing[:SHOWN]:
        findings.add(song_id, WARNING, "no lyrics found", "put a '<Title> by <Artist>.txt' into lyrics/")
    for match in station.coverage.doubtful:
        findings.add(match.file, WARNING, f"may be the lyrics of {match.song_id}: {match.how}", "name the file exactly")
    return LintReport(rendered, examples, with_lyrics, longest, tuple(findings))


class _Rejected:
    script = "Good evening, night owls, and nothing more."
    issues = ("names no song",)


class _Findings:
    """Findings, of which those that say the same of many links are listed a few times only."""

    def __init__(self) -> None:
        self._all: list[Finding] = []
        self._seen: dict[tuple[str, str], int] = {}

    def add(self, where: str, level: str, problem: str, fix: str = "") -> None:
        n = self._seen[level, problem] = self._seen.get((level, problem), 0) + 1
        if n <= SHOWN and (finding := Finding(level, str(where), problem, fix)) not in self._all:
            self._all.append(finding)

    def __iter__(self) -> Iterator[Finding]:
        yield from self._all
        for (level, problem), n in self._seen.items():
            if n > SHOWN:
                yield Finding(level, "", f"{problem}: {n - SHOWN:,} more")


def _problems(station: Station, link: Link, role: str, messages: Messages) -> Iterator[str]:
    """What is wrong with one rendered prompt."""
    if [m["role"] for m in messages] != ["system", "user"] or not all(m["content"].strip() for m in messages):
        yield "the prompt must be a system and a user message, neither empty"
        return
    system, user = (m["content"] for m in messages)
    body, _, brief = user.partition("\n@Task: ")
    for text in (system, body):
        for mark in ("{{", "{%", "Undefined", "None\n", "<function", " object at 0x"):
            if mark in text:
                yield f"something is left unfilled: {mark.strip()!r}"
    if "\n@" in system or not brief.startswith(link.kind):
        yield "the brief is not where it must be"
    song, kind = link.song, station.kinds[link.kind]
    needed: dict[str, str] = {}
    if song:
        needed = {"title": song.title, "artist": song.artist, "year": str(song.year or "")}
        if song.lyrics and kind.lyrics_max_chars:
            needed["lyrics"] = quote(excerpt(song.lyrics, kind.lyrics_max_chars))
            if not excerpt(song.lyrics, kind.lyrics_max_chars):
                yield f"no line of the lyrics fits into lyrics_max_chars: {kind.lyrics_max_chars}"
    elif link.time:
        needed = {"time": link.time.spoken}
    elif link.forecast:
        needed = {"period": link.forecast.period, "conditions": link.forecast.conditions}
    if role == "writer":
        needed |= {"rejected script": quote(_Rejected.script), "issues": _Rejected.issues[0]}
        needed |= {"openings to avoid": opening(_Rejected.script)}
    else:
        needed["script"] = quote(_Rejected.script)
    for what, text in needed.items():
        if text and text not in body:
            yield f"the template leaves out the {what}"


def _systems(station: Station, prompts: Prompts, dj: DJ, findings: _Findings) -> None:
    """Whether kinds have system prompts of their own, with persona and examples in them."""
    seen: dict[str, str] = {}
    for kind in station.kinds.values():
        if not station.subjects(kind):
            findings.add(f"kinds/{kind.name}", WARNING, f"there is no {kind.subject} to speak of, so it makes no links")
            continue
        try:
            system = prompts.writer(station.link(dj, kind, 0))[0]["content"]
        except UserError:
            continue  # reported already
        where = f"kinds/{kind.name}/writer_system.j2"
        lines = dj.examples.get(kind.name, ())
        bare = system.replace(bullets(lines), "") if lines else system
        if bare in seen:
            findings.add(where, ERROR, f"the system prompt is the same as that of kind '{seen[bare]}'")
        seen[bare] = kind.name
        first = dj.persona.splitlines()[0]
        if first not in system:
            findings.add(where, ERROR, "the template leaves out the persona", "use {{ dj.persona }}")
        if not lines:
            findings.add(f"djs/{dj.id}/examples.yaml", WARNING, f"no examples for kind '{kind.name}'")
        elif lines[0] not in system:
            findings.add(where, ERROR, "the template leaves out the examples", "use {{ examples }}")


def _examples(station: Station, findings: _Findings) -> int:
    """Hold the example lines against the rules of their kind; how many there were."""
    from stages.rules import Names, check

    names = Names.of(station.songs, station.djs.values(), (station.name, station.place))
    number = 0
    for (dj_id, kind_name), examples in station.examples.items():
        kind = station.kinds[kind_name]
        for i, example in enumerate(examples, 1):
            number += 1
            where = f"djs/{dj_id}/examples.yaml: {kind_name} {i}"
            try:
                link = example_link(station.djs[dj_id], kind, example)
            except ValueError as error:
                findings.add(where, WARNING, f"cannot be held against the rules: {error}")
                continue
            for hit in check(example.line, link, kind.rubric.rules, names):
                findings.add(where, ERROR, f"breaks the station's own rule {hit.rule}: {hit.message}")
    return number


def example_link(dj: DJ, kind: Kind, example: Example) -> Link:
    """The link an example line would be a script for.

    Raises:
        ValueError: where the example does not say enough of what it speaks of.
    """
    about = example.about
    subject: Song | ClockTime | Forecast | None = None
    if kind.subject == "song":
        if not about.get("title") or not about.get("artist"):
            raise ValueError("give its title and artist")
        subject = Song("example", about["title"], about["artist"], year=about.get("year"))
    elif kind.subject == "time":
        if not about.get("time"):
            raise ValueError("give its time")
        minutes = parse_spoken_clock(about["time"])
        subject = ClockTime("example", minutes // 60, minutes % 60, about["time"])
    elif kind.subject == "weather":
        if not about.get("period") or not about.get("conditions"):
            raise ValueError("give its period and conditions")
        subject = Forecast("example", about["period"], about["conditions"], about.get("high"), about.get("low"))
    following = None
    if isinstance(about.get("next"), str):
        title, _, artist = about["next"].rpartition(" by ")
        following = Song("next", title or about["next"], artist)
    return Link(dj, kind.name, subject, kind.words, following)
