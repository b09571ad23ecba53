"""Kinds of link: a folder with `kind.yaml`, a rubric and four templates. A user adds one by files alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from engine.errors import UserError
from stages.files import list_folder, read_text, read_yaml
from stages.ids import SAFE_ID, is_safe_id, nearest
from stages.link import WORDS_PER_SECOND, Song

SUBJECTS = ("song", "time", "weather", "station")
TEMPLATES = ("writer_system", "writer_user", "auditor_system", "auditor_user")
TEMPLATE_LIMIT = 64 * 1024
WORDS_MOST = 1_000
LYRICS_MAX_CHARS = 1_200

_KEYS = ("subject", "words", "talks_over_intro", "may_tease_next", "lyrics_max_chars")


@dataclass(frozen=True)
class Kind:
    """One kind of link.

    Attributes:
        subject: what a link of it speaks of: `song`, `time`, `weather` or `station` (nothing but itself).
        words: least and most words of a script.
        folder: where its files lie.
        templates: Jinja sources by name: the four of `TEMPLATES`, and `<kind>/x.j2` for any others of its own.
        talks_over_intro: whether it must end before the vocals start, see `words_for`.
        may_tease_next: whether the writer is told which song comes next.
        lyrics_max_chars: how much of the lyrics a prompt may quote.
    """

    name: str
    subject: str
    words: tuple[int, int]
    folder: Path
    templates: dict[str, str] = field(default_factory=dict)
    talks_over_intro: bool = False
    may_tease_next: bool = False
    lyrics_max_chars: int = LYRICS_MAX_CHARS

    @property
    def rubric_path(self) -> Path:
        """The kind's `rubric.yaml`."""
        return self.folder / "rubric.yaml"

    @cached_property
    def rubric(self):
        """The kind's `stages.rubric.Rubric`.

        Raises:
            UserError: if the file is missing or wrong.
        """
        from stages.rubric import Rubric

        return Rubric.from_dict(read_yaml(self.rubric_path), self.rubric_path)

    def words_for(self, song: Song | None) -> tuple[int, int]:
        """Least and most words for a link about `song`.

        Talking over an intro ends when the singing starts, so at most `intro_seconds` x 2.5 words; the least is then
        at most half of that. A song without a known intro, or with none (0 seconds: the DJ speaks before it), has
        no such limit.
        """
        least, most = self.words
        if self.talks_over_intro and song is not None and song.intro_seconds:
            most = max(1, min(most, int(song.intro_seconds * WORDS_PER_SECOND)))
            if most < self.words[1]:
                least = min(least, max(1, most // 2))
        return least, most


def load_kind(folder: Path) -> Kind:
    """Read a kind's folder.

    Raises:
        UserError: naming everything that is missing or wrong in it.
    """
    if not is_safe_id(folder.name):
        raise UserError("a kind's folder cannot have this name", where=folder, fix=f"use {SAFE_ID}")
    errors: list[UserError] = []
    templates: dict[str, str] = {}
    for path in list_folder(folder):
        if path.suffix == ".j2":
            name = path.stem if path.stem in TEMPLATES else f"{folder.name}/{path.name}"
            try:
                templates[name] = read_text(path, TEMPLATE_LIMIT)
            except UserError as error:
                errors.append(error)
    for name in TEMPLATES:
        if name not in templates and not any(str(folder / f"{name}.j2") in str(e) for e in errors):
            errors.append(UserError("the template is missing", where=folder / f"{name}.j2"))
    if not (folder / "rubric.yaml").exists():
        errors.append(UserError("the rubric is missing", where=folder / "rubric.yaml"))
    values: dict[str, Any] = {}
    try:
        values = _settings(folder / "kind.yaml")
    except UserError as error:
        errors.append(error)
    if errors:
        raise UserError.of_many(errors)
    return Kind(folder.name, folder=folder, templates=templates, **values)


def _settings(path: Path) -> dict[str, Any]:
    given = read_yaml(path)
    errors = [
        UserError(f"unknown key '{key}'", where=path, fix=nearest(str(key), _KEYS)) for key in given if key not in _KEYS
    ]
    subject = given.get("subject")
    if subject not in SUBJECTS:
        problem = "'subject' is missing" if subject is None else f"'subject' cannot be {subject!r}"
        errors.append(UserError(problem, where=path, fix=f"one of {', '.join(SUBJECTS)}"))
    words = given.get("words")
    bounds: tuple[int, int] | None = None
    if isinstance(words, dict) and set(words) == {"min", "max"}:
        low, high = words["min"], words["max"]
        if type(low) is int and type(high) is int and 1 <= low <= high <= WORDS_MOST:
            bounds = low, high
    if bounds is None:
        fix = f"e.g. words: {{min: 20, max: 45}}, 1 to {WORDS_MOST}, min no greater than max"
        errors.append(
            UserError(
                "'words' is missing" if words is None else "'words' is wrong",
                where=path,
                fix=fix,
            )
        )
    values: dict[str, Any] = {"subject": subject, "words": bounds}
    for key in ("talks_over_intro", "may_tease_next"):
        value = given.get(key, False)
        if not isinstance(value, bool):
            errors.append(UserError(f"'{key}' must be true or false, is {value!r}", where=path))
        values[key] = value
    most = given.get("lyrics_max_chars", LYRICS_MAX_CHARS)
    if type(most) is not int or not 0 <= most <= 100_000:
        errors.append(
            UserError(
                f"'lyrics_max_chars' must be a whole number up to 100000, is {most!r}",
                where=path,
            )
        )
    values["lyrics_max_chars"] = most
    if values["talks_over_intro"] and subject != "song":
        errors.append(UserError("'talks_over_intro' makes sense for subject: song only", where=path))
    if values["may_tease_next"] and subject != "song":
        errors.append(UserError("'may_tease_next' makes sense for subject: song only", where=path))
    if errors:
        raise UserError.of_many(errors)
    return values
