"""DJs: a folder each, with `dj.yaml`, `persona.md`, `examples.yaml` and, for cloning synthesizers, `voice.wav`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import UserError
from stages.files import clean, clean_lines, read_text, read_yaml
from stages.ids import SAFE_ID, is_safe_id, nearest
from stages.link import DJ

PERSONA_LIMIT = 16 * 1024
EXAMPLE_MOST = 1_000  # characters
VOICES = ("voice.wav", "voice.flac", "voice.ogg", "voice.mp3")

_KEYS = ("name", "language", "tts")
_ABOUT = {"title": str, "artist": str, "year": int, "next": str, "time": str}
_ABOUT |= {"period": str, "conditions": str, "high": int, "low": int}


@dataclass(frozen=True, slots=True)
class Example:
    """An example line and, for the prompt check, what it speaks of (`title`, `artist`, `year`, `time`, `high`, …)."""

    line: str
    about: Mapping[str, Any]


def load_dj(folder: Path, language: str = "en") -> tuple[DJ, dict[str, tuple[Example, ...]]]:
    """Read a DJ's folder: the DJ, and the examples by kind.

    Args:
        language: the station's, for a DJ who states none.

    Raises:
        UserError: naming everything that is wrong in it.
    """
    if not is_safe_id(folder.name):
        raise UserError("a DJ's folder cannot have this name", where=folder, fix=f"use {SAFE_ID}")
    errors: list[UserError] = []

    def attempt(read, default):
        try:
            return read()
        except UserError as error:
            errors.append(error)
            return default

    settings = attempt(lambda: _settings(folder / "dj.yaml", language), {})
    persona = attempt(lambda: _persona(folder / "persona.md"), "")
    examples: dict[str, tuple[Example, ...]] = {}
    if (path := folder / "examples.yaml").exists() or path.is_symlink():
        examples = attempt(lambda: _examples(path), {})
    voice = next((clip for name in VOICES if (clip := folder / name).exists() or clip.is_symlink()), None)
    if voice and (not voice.is_file() or not voice.stat().st_size):
        errors.append(UserError("the voice clip is no file, or an empty one", where=voice))
    if errors:
        raise UserError.of_many(errors)
    lines = {kind: tuple(example.line for example in entries) for kind, entries in examples.items()}
    return DJ(id=folder.name, persona=persona, examples=lines, voice=voice, **settings), examples


def _settings(path: Path, language: str) -> dict[str, Any]:
    given = read_yaml(path)
    errors = [
        UserError(f"unknown key '{key}'", where=path, fix=nearest(str(key), _KEYS)) for key in given if key not in _KEYS
    ]
    values = {"name": given.get("name"), "language": given.get("language", language)}
    for key, value in values.items():
        if not isinstance(value, str) or not clean(value):
            errors.append(
                UserError(
                    f"'{key}' is missing" if value is None else f"'{key}' must be text",
                    where=path,
                )
            )
        elif len(value) > 100:
            errors.append(UserError(f"'{key}' is longer than 100 characters", where=path))
        else:
            values[key] = clean(value)
    tts = given.get("tts") or {}
    if not isinstance(tts, dict) or not all(isinstance(v, dict) for v in tts.values()):
        errors.append(
            UserError(
                "'tts' must hold settings by synthesizer",
                where=path,
                fix="e.g. tts: {espeak: {rate: 160}}",
            )
        )
    else:
        scalar = (str, int, float, bool, type(None))
        for name, options in tts.items():
            for key, value in options.items():
                if not isinstance(value, scalar):
                    errors.append(
                        UserError(
                            f"'tts.{name}.{key}' must be one value, is {type(value).__name__}",
                            where=path,
                        )
                    )
    if errors:
        raise UserError.of_many(errors)
    return {
        **values,
        "tts": {str(name): dict(options) for name, options in tts.items()},
    }


def _persona(path: Path) -> str:
    text = "\n".join(clean_lines(read_text(path, PERSONA_LIMIT))).strip()
    if not text:
        raise UserError(
            "the persona card is empty",
            where=path,
            fix="say who the DJ is and how they talk",
        )
    return text


def _examples(path: Path) -> dict[str, tuple[Example, ...]]:
    errors: list[UserError] = []
    out: dict[str, tuple[Example, ...]] = {}
    for kind, entries in read_yaml(path).items():
        if not isinstance(entries, list):
            errors.append(UserError(f"'{kind}' must be a list of lines", where=path))
            continue
        found = []
        for number, entry in enumerate(entries, 1):
            place = f"{path}: {kind} {number}"
            about = dict(entry) if isinstance(entry, dict) else {}
            line = about.pop("line", None) if isinstance(entry, dict) else entry
            if not isinstance(line, str) or not clean(line):
                errors.append(UserError("an example is a text, or has one as 'line'", where=place))
                continue
            if len(line) > EXAMPLE_MOST:
                errors.append(
                    UserError(
                        f"has {len(line):,} characters, at most {EXAMPLE_MOST:,} make sense",
                        where=place,
                    )
                )
            for key, value in about.items():
                if key not in _ABOUT:
                    errors.append(
                        UserError(
                            f"unknown key '{key}'",
                            where=place,
                            fix=nearest(str(key), ["line", *_ABOUT]),
                        )
                    )
                elif type(value) is not _ABOUT[key]:
                    kind_of = "a whole number" if _ABOUT[key] is int else "text"
                    errors.append(
                        UserError(
                            f"'{key}' must be {kind_of}, is {value!r}",
                            where=place,
                            fix="quote text",
                        )
                    )
            found.append(Example(clean(line), about))
        out[str(kind)] = tuple(found)
    if errors:
        raise UserError.of_many(errors)
    return out
