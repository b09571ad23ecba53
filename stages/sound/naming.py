"""File names that come from keys and nothing else, and are safe on any file system.

`dot/intro/tin-roof` becomes `dot/intro/tin-roof.flac`. A part of a key that some file system would refuse, shorten or
mix up with another (upper case, accents, `..`, `CON`, 300 letters) is respelled and gets a hash of the original behind
a `~`, which no plain part has: different keys never share a file, on case-insensitive disks too.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from pathlib import PurePosixPath

LONGEST = 60  # characters of a part; three of them, hashes and a folder stay under Windows' 260
_PLAIN = re.compile(rf"[a-z0-9_][a-z0-9_-]{{0,{LONGEST - 1}}}")
_TAKE = re.compile(r"(.*)@([1-9][0-9]{0,2})", re.DOTALL)  # a further take of a link
_RESERVED = re.compile(r"con|prn|aux|nul|(com|lpt)[0-9]")  # on Windows, with any extension


def file_name(key: str, format: str) -> PurePosixPath:
    """Relative path of the file of a take: of the link `dj/kind/subject` (further slashes belong to the subject), or
    its n-th take `dj/kind/subject@n`, which becomes `subject.n`.

    Raises:
        KeyError: unknown format.
    """
    from stages.sound.settings import EXTENSIONS

    *folders, subject = key.split("/", 2)
    take = _TAKE.fullmatch(subject)
    stem = f"{_safe(take[1])}.{take[2]}" if take else _safe(subject)
    return PurePosixPath(*map(_safe, folders), stem + EXTENSIONS[format])


def _safe(part: str) -> str:
    if _PLAIN.fullmatch(part) and not _RESERVED.fullmatch(part):
        return part
    ascii_part = unicodedata.normalize("NFKD", part).encode("ascii", "ignore").decode().lower()
    readable = re.sub(r"[^a-z0-9_]+", "-", ascii_part)[:40].strip("-") or "x"
    mark = hashlib.blake2b(part.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return f"{readable}~{mark}"
