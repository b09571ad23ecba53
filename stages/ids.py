"""Names fit for keys and files: a song id from a stranger's catalog must never leave a folder or meet another's.

Keys (`dj/kind/subject#1.1`), shard fingerprints and audio file names are all made from ids, so they keep to lower-case
ASCII letters, digits, `.`, `_` and `-`, at most 64 characters, and are no device name of any system.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import unicodedata
from collections.abc import Iterable

_SAFE = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}[a-z0-9_-]|[a-z0-9]")
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?")
SAFE_ID = "lower-case letters, digits, '.', '_' and '-', at most 64 of them"


def is_safe_id(text: str) -> bool:
    """Whether `text` can stand in keys and file names as it is, on any file system (case-insensitive ones included)."""
    return bool(_SAFE.fullmatch(text)) and ".." not in text and not _DEVICE.fullmatch(text)


def safe_id(raw: str) -> str:
    """`raw` itself where it is safe, else a readable slug with a hash of `raw`, so that different ids stay different.

    >>> safe_id("s01"), safe_id("../../etc/passwd")
    ('s01', 'etc-passwd-830a08e2')
    """
    if is_safe_id(raw):
        return raw
    ascii_ = unicodedata.normalize("NFKD", raw[:400]).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_.lower()).strip("-")[:48].strip("-") or "id"
    mark = hashlib.blake2b(raw.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"{slug}-{mark}"


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for an unknown `name`: "did you mean 'x'?", or the known names where none comes close."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6) if len(known) < 20_000 else []
    if close:
        return f"did you mean '{close[0]}'?"
    shown = ", ".join(known[:12]) + (", …" if len(known) > 12 else "")
    return f"known: {shown}" if known else "there are none"
