"""One JSONL file of a checkpoint: how a line is sealed, found again and mended.

A line is a JSON object whose last member is a CRC-32 of everything before it, so that any JSONL tool reads it and a
flipped bit is seen:

    {"key":"ada/intro/s01#1.1", … ,"time":1771234567.12,"crc":"9f03a1c4"}\\n

* Lines are only ever appended. A last line without its newline is *torn* (the writer died in it): it is cut when the
  shard is next opened for writing and ignored by readers.
* Any other line that does not parse or whose CRC differs is *damaged*: scanning goes on behind it, and the caller
  sets a copy aside. The shard itself is not rewritten.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from engine.records import ERROR, OK

_SEAL = b',"crc":"'
_SEAL_SIZE = len(_SEAL) + 8 + len(b'"}')


class Line(NamedTuple):
    """A line found by `scan`: `record` is None where it is damaged; `offset` is in bytes."""

    offset: int
    record: dict[str, Any] | None
    raw: bytes


def seal(record: dict[str, Any]) -> bytes:
    """The line of `record`, newline included."""
    body = orjson.dumps(record, option=orjson.OPT_SERIALIZE_NUMPY)[:-1]
    return body + _SEAL + b'%08x"}\n' % zlib.crc32(body)


def unseal(raw: bytes) -> dict[str, Any] | None:
    """The record of a line without its newline; None where it is damaged."""
    body, tail = raw[:-_SEAL_SIZE], raw[-_SEAL_SIZE:]
    if tail != _SEAL + b'%08x"}' % zlib.crc32(body):
        return None
    try:
        record = orjson.loads(raw)
    except ValueError:
        return None
    return record if _is_record(record) else None


def _is_record(value: Any) -> bool:
    """Whether a sealed line holds what `records.make_record` makes; a foreign line counts as damaged."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("key"), str)
        and isinstance(value.get("fingerprint"), str)
        and value.get("status") in (OK, ERROR)
    )


def scan(path: Path, start: int = 0) -> Iterator[Line]:
    """Every whole line from byte `start` on, in order; a torn last line is not yielded."""
    offset = start
    with open(path, "rb") as file:
        file.seek(start)
        for raw in file:
            if not raw.endswith(b"\n"):
                return
            text = raw[:-1]
            if text:
                yield Line(offset, unseal(text), text)
            offset += len(raw)


def whole_size(path: Path) -> int:
    """Bytes up to and including the last newline: what is left of the file once a torn tail is cut."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        end = size
        while end > 0:
            start = max(0, end - 65536)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
            end = start
    return 0
