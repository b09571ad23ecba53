"""Weight files: what a safetensors header tells, and a hash of the content."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import tempfile
from pathlib import Path

from engine.records import digest

LARGEST_HEADER = 1 << 27  # bytes


def tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of a safetensors file's tensors by name, from its header alone.

    Raises:
        ValueError: it is no such file, or shorter or longer than its header says.
    """
    try:
        whole = path.stat().st_size
        with open(path, "rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            if size > min(LARGEST_HEADER, whole):
                raise ValueError("header larger than the file")
            header = json.loads(file.read(size))
        header.pop("__metadata__", None)
        if 8 + size + max((entry["data_offsets"][1] for entry in header.values()), default=0) != whole:
            raise ValueError("the file is cut short")
        return {name: tuple(entry["shape"]) for name, entry in header.items()}
    except (OSError, KeyError, TypeError, AttributeError, struct.error) as e:
        raise ValueError(str(e)) from e


def content_hash(path: Path, cache: str | os.PathLike[str]) -> str:
    """BLAKE2b of a file's content, 16 hex digits; remembered under `cache` by its path, size and time."""
    state = path.stat()
    memo = Path(cache).expanduser() / "hashes" / digest([str(path.resolve()), state.st_size, state.st_mtime_ns])
    if memo.is_file() and len(known := memo.read_text()) == 16:
        return known
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=8)).hexdigest()
    memo.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=memo.parent, delete=False) as part:
        part.write(found)
    os.replace(part.name, memo)
    return found
