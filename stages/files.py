"""Reading what users and strangers put into a station: small, regular, UTF-8, or a `UserError` that says what is not.

Nothing here raises anything but `UserError` for a bad file: not for loops of links, devices, huge files, wrong
encodings, nor for YAML that nests a thousand deep.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import unicodedata
from pathlib import Path
from typing import Any

import yaml

from engine.errors import UserError

YAML_LIMIT = 256 * 1024
TEXT_LIMIT = 256 * 1024
_DEEPEST = 200  # brackets within brackets in YAML
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u00a0\s]+")
# Invisible, direction-changing and private-use characters: nobody can say them, and some could pass for a mark of ours.
_INVISIBLE = re.compile(
    "[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\uf8ff\U000f0000-\U0010ffff]"
)


def clean(text: str) -> str:
    """One line of plain text: composed (NFC), without control or direction-changing characters, single spaces."""
    if text.isascii():
        return " ".join(text.split()) if text.isprintable() else " ".join(_CONTROL.sub(" ", text).split())
    text = _INVISIBLE.sub("", unicodedata.normalize("NFC", text))
    return _CONTROL.sub(" ", text).strip()


def clean_lines(text: str) -> list[str]:
    """The lines of `text`, each `clean`ed; every kind of line break counts as one."""
    return [clean(line) for line in text.splitlines()]


def os_problem(error: OSError | ValueError) -> str:
    """What an `OSError` means for the user, without errno or path."""
    if isinstance(error, ValueError):
        return "the path has a NUL character in it"
    known = {
        errno.ENOENT: "no such file",
        errno.ENOTDIR: "no such file: a part of the path is not a folder",
        errno.EISDIR: "this is a folder, not a file",
        errno.ELOOP: "the symbolic links go in a circle",
        errno.EACCES: "no permission to read it",
        errno.EPERM: "no permission to read it",
        errno.ENAMETOOLONG: "the path is too long",
    }
    return known.get(error.errno, error.strerror or str(error))


def read_bytes(path: Path, limit: int) -> bytes:
    """The file's bytes.

    Args:
        path: a regular file (or a link to one).
        limit: most bytes it may have.

    Raises:
        UserError: if it is missing, no regular file, unreadable or larger than `limit`.
    """
    try:
        # Opened without blocking first: a FIFO or device among a stranger's files must not hang the run.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except (OSError, ValueError) as error:
        raise UserError(os_problem(error), where=path) from None
    try:
        info = os.fstat(handle)
        if stat.S_ISDIR(info.st_mode):
            raise UserError("this is a folder, not a file", where=path)
        if not stat.S_ISREG(info.st_mode):
            raise UserError("this is not a regular file", where=path)
        if info.st_size > limit:
            raise UserError(f"too large: {info.st_size:,} bytes, at most {limit:,} are read", where=path)
        with open(handle, "rb", closefd=False) as file:
            return file.read(limit)
    except OSError as error:
        raise UserError(os_problem(error), where=path) from None
    finally:
        os.close(handle)


def decode(data: bytes, where: str | Path) -> str:
    """UTF-8 text, with or without a byte order mark.

    Raises:
        UserError: naming the line of the first byte that is not UTF-8.
    """
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise UserError("this is UTF-16, not UTF-8", where=where, fix="save it again as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"not UTF-8: byte 0x{data[error.start]:02x} makes no sense here",
            where=f"{where}:{line}",
            fix="if it is Latin-1, run: iconv -f latin1 -t utf-8",
        ) from None


def read_text(path: Path, limit: int = TEXT_LIMIT) -> str:
    """`decode(read_bytes(path))`.

    Raises:
        UserError: as `read_bytes` and `decode`.
    """
    return decode(read_bytes(path, limit), path)


class _Loader(yaml.SafeLoader):
    """YAML as people mean it: no 7:30 = 450, no `no` = False, no dates, no key given twice."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?",
        "-+0123456789.",
    ),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))


def _number(loader: _Loader, node: yaml.ScalarNode) -> int:
    return int(loader.construct_scalar(node)[:32])  # decimal always: 007 is 7, and no digits without end


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict:
    loader.flatten_mapping(node)
    out: dict = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, (str, int, float, bool)):
            raise yaml.constructor.ConstructorError(None, None, "a key must be plain text", key_node.start_mark)
        if key in out:
            raise yaml.constructor.ConstructorError(None, None, f"'{key}' is given twice", key_node.start_mark)
        out[key] = loader.construct_object(value_node, deep=True)
    return out


_Loader.add_constructor("tag:yaml.org,2002:int", _number)
_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def parse_yaml(text: str, where: str | Path) -> Any:
    """The value of a YAML text (safe types only).

    Raises:
        UserError: naming the line that cannot be read.
    """
    depth = 0
    for bracket in re.findall(r"[\[{}\]]", text):
        depth += 1 if bracket in "[{" else -1
        if depth > _DEEPEST:  # before the parser, which takes quadratic time to find that out
            raise UserError("not valid YAML: nested too deeply", where=where)
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read"
        raise UserError(
            f"not valid YAML: {problem}",
            where=f"{where}:{mark.line + 1}" if mark else where,
        ) from None
    except RecursionError:
        raise UserError("not valid YAML: nested too deeply", where=where) from None
    except ValueError as error:
        raise UserError(f"not valid YAML: {error}", where=where) from None


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping a YAML file holds.

    Raises:
        UserError: if it cannot be read, or holds something else than `key: value` pairs.
    """
    value = parse_yaml(read_text(path, YAML_LIMIT), path)
    if value is None:
        raise UserError("the file is empty", where=path)
    if not isinstance(value, dict):
        raise UserError(f"must hold 'key: value' lines, holds a {type(value).__name__}", where=path)
    return value


def list_folder(path: Path) -> list[Path]:
    """What lies in a folder, by name, hidden files left out.

    Raises:
        UserError: if it is missing, no folder or unreadable.
    """
    try:
        names = os.listdir(path)
    except NotADirectoryError:
        raise UserError("this is a file, not a folder", where=path) from None
    except FileNotFoundError:
        raise UserError("no such folder", where=path) from None
    except (OSError, ValueError) as error:
        raise UserError(os_problem(error), where=path) from None
    return [path / name for name in sorted(names) if not name.startswith(".")]
