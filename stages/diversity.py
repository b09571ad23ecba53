"""How alike a station's scripts are: repeated openings, phrases that come back, scripts that are nearly the same.

Scripts are compared as words with names masked and numbers levelled, so that "That was A by B" counts as one opening
whatever A and B are. Similarity is the Jaccard index of three-word shingles; who is near whom is found by MinHash and
banding (Broder 1997; Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", ch. 3), so that the cost grows with
the number of scripts and not with its square.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from stages.link import Link
from stages.rules.registry import RULES, Hit
from stages.rules.text import ARTIST, NAME, NEXT_ARTIST, NEXT_TITLE, TITLE, Script

_SHOWN = {
    TITLE: "[title]",
    ARTIST: "[artist]",
    NEXT_TITLE: "[next title]",
    NEXT_ARTIST: "[next artist]",
    NAME: "[name]",
}
_SAID = re.compile(rf"[{''.join(_SHOWN)}]|\d[\d.,:]*|[^\W\d_\ue000-\ue004]+(?:'[^\W\d_\ue000-\ue004]+)*")
SHINGLE = 3
NEAR_DUPLICATE = 0.6


@dataclass(frozen=True, slots=True)
class Spoken:
    """One script of the corpus: candidate or link key, link key, DJ, kind, and its words as they are compared."""

    key: str
    link: str
    dj: str
    kind: str
    words: tuple[str, ...]

    @classmethod
    def of(cls, key: str, script: str | Script, link: Link) -> Spoken:
        """Read `script`, written for `link`."""
        read = script if isinstance(script, Script) else Script(script, link)
        words = tuple("#" if w[0].isdigit() else w for w in _SAID.findall(read.plain))
        return cls(key, link.key, link.dj.id, link.kind, words)

    def opening(self, words: int) -> str:
        """The first words, names as `[title]` and the like."""
        return _show(self.words[:words])


def _show(words: Iterable[str]) -> str:
    return " ".join(_SHOWN.get(w, w) for w in words)


def opening(script: str, words: int = 4) -> str:
    """The first words of a script as they stand, to be named to a writer who must not use them again."""
    return " ".join(script.split()[:words]).rstrip(",.;:!?—-")


# --------------------------------------------------------------------------------------------------------- similarity

_PERMUTATIONS, _ROWS = 64, 2
_BANDS = _PERMUTATIONS // _ROWS
_BUCKET, _COMPARED = 16, 8  # most entries kept per bucket, and most scripts compared word for word


@lru_cache(maxsize=1)
def _hashing():
    """Multipliers and offsets of the hash functions, the same in every process."""
    import numpy as np

    rng = np.random.default_rng(20_240_607)
    a = rng.integers(1, 2**63, _PERMUTATIONS, dtype=np.uint64) * 2 + 1
    b = rng.integers(0, 2**63, _PERMUTATIONS, dtype=np.uint64)
    return a[:, None], b[:, None]


@lru_cache(maxsize=200_000)
def _word_hash(word: str) -> int:
    blob = word.encode()
    return zlib.crc32(blob) << 32 | zlib.crc32(blob[::-1], 0x9E3779B9)


def _grams(words: Sequence[str], n: int):
    """A 64-bit hash for each run of `n` words; a shorter script is one run."""
    import numpy as np

    h = np.fromiter(map(_word_hash, words), np.uint64, len(words))
    n = max(1, min(n, len(words)))
    out = np.zeros(len(words) - n + 1, np.uint64)
    for i in range(n):
        out = (out ^ (out >> np.uint64(29))) * np.uint64(0x9E3779B97F4A7C15) + h[i : len(h) - n + 1 + i]
    return out


class Corpus:
    """The scripts of a station, to hold new ones against. Adding and asking cost the same at 60 and at 60,000."""

    def __init__(self, spoken: Iterable[Spoken] = ()):
        self._shingles: list[frozenset[int]] = []
        self._who: list[tuple[str, str]] = []
        self._buckets: dict[tuple[int, int], list[int]] = defaultdict(list)
        for s in spoken:
            self.add(s)

    def __len__(self) -> int:
        return len(self._who)

    def add(self, spoken: Spoken) -> None:
        """Take one script in."""
        shingles, bands = self._read(spoken.words)
        self._enter(spoken, shingles, bands)

    def _enter(self, spoken: Spoken, shingles: frozenset[int], bands: list[tuple[int, int]]) -> None:
        at = len(self._who)
        self._who.append((spoken.key, spoken.link))
        self._shingles.append(shingles)
        for band in bands:
            bucket = self._buckets[band]
            if len(bucket) < _BUCKET:
                bucket.append(at)

    def nearest(self, spoken: Spoken) -> tuple[float, str | None]:
        """Similarity (0 to 1) to the script most like `spoken` among those of other links, and its key."""
        shingles, bands = self._read(spoken.words)
        return self._nearest(spoken.link, shingles, bands)

    def novelty(self, spoken: Spoken) -> float:
        """1 for a script unlike all others, 0 for one that another link has word for word."""
        return round(1.0 - self.nearest(spoken)[0], 4)

    def _nearest(self, link: str, shingles: frozenset[int], bands: list[tuple[int, int]]) -> tuple[float, str | None]:
        met: Counter[int] = Counter()
        for band in bands:
            met.update(self._buckets.get(band, ()))
        best, who = 0.0, None
        compared = 0
        for at, _ in met.most_common():
            if self._who[at][1] == link:
                continue
            other = self._shingles[at]
            shared = len(shingles & other)
            likeness = shared / (len(shingles) + len(other) - shared) if shared else 0.0
            if likeness > best:
                best, who = likeness, self._who[at][0]
            compared += 1
            if compared >= _COMPARED:
                break
        return best, who

    @staticmethod
    def _read(words: Sequence[str]) -> tuple[frozenset[int], list[tuple[int, int]]]:
        import numpy as np

        if not words:
            return frozenset(), []
        grams = np.unique(_grams(words, SHINGLE))
        a, b = _hashing()
        low = ((a * grams + b) >> np.uint64(32)).min(axis=1).reshape(_BANDS, _ROWS)
        keys = (low[:, 0] << np.uint64(32) | low[:, 1]).tolist()
        return frozenset(grams.tolist()), list(enumerate(keys))


def novelty(script: str, link: Link, corpus: Corpus) -> float:
    """How unlike the scripts of other links in `corpus` a script is: 1 unlike all, 0 the same as one."""
    return corpus.novelty(Spoken.of("", script, link))


# ------------------------------------------------------------------------------------------------------------- report


def report(spoken: Iterable[Spoken], *, words: int = 4, phrase: int = 5, worst: int = 10) -> dict[str, Any]:
    """What repeats in a corpus of final scripts, one per link.

    Args:
        spoken: the scripts.
        words: how many first words make an opening.
        phrase: shortest run of words that counts as a phrase.
        worst: how many of each kind of repeat to list.

    Returns:
        `scripts`; `repeated_openings`: share of scripts whose opening another one has; `openings`, `phrases` and
        `near_duplicates`: the worst repeats with counts and keys; `by_dj`: for each DJ `scripts`, `self_similarity`
        (mean similarity of a script to the DJ's nearest other one), `near_duplicates`, `distinct_openings` (share).
    """
    spoken = list(spoken)
    openings: dict[str, list[Spoken]] = defaultdict(list)
    for s in spoken:
        if s.words:
            openings[s.opening(words)].append(s)
    common = sorted(((o, ss) for o, ss in openings.items() if len(ss) > 1), key=lambda x: (-len(x[1]), x[0]))
    by_dj, pairs = _by_dj(spoken, words)
    return {
        "scripts": len(spoken),
        "repeated_openings": round(sum(len(ss) for _, ss in common) / len(spoken), 4) if spoken else 0.0,
        "openings": [
            {"opening": o, "count": len(ss), "djs": sorted({s.dj for s in ss}), "keys": [s.key for s in ss[:5]]}
            for o, ss in common[:worst]
        ],
        "phrases": _phrases(spoken, phrase, worst),
        "near_duplicates": _anchored(pairs)[:worst],
        "by_dj": by_dj,
    }


def _by_dj(spoken: list[Spoken], words: int) -> tuple[dict[str, Any], list[tuple[float, str, str]]]:
    groups: dict[str, list[Spoken]] = defaultdict(list)
    for s in spoken:
        groups[s.dj].append(s)
    out, pairs = {}, set()
    for dj, group in sorted(groups.items()):
        corpus, read = Corpus(), []
        for s in group:
            shingles, bands = corpus._read(s.words)
            read.append((shingles, bands))
            corpus._enter(s, shingles, bands)
        near = [corpus._nearest(s.link, *r) for s, r in zip(group, read, strict=True)]
        pairs |= {
            (x, *sorted((s.key, who))) for s, (x, who) in zip(group, near, strict=True) if who and x >= NEAR_DUPLICATE
        }
        out[dj] = {
            "scripts": len(group),
            "self_similarity": round(sum(x for x, _ in near) / len(group), 4),
            "near_duplicates": sum(x >= NEAR_DUPLICATE for x, _ in near),
            "distinct_openings": round(len({s.opening(words) for s in group}) / len(group), 4),
        }
    return out, sorted(pairs, key=lambda p: (-p[0], p[1], p[2]))


def _anchored(pairs: list[tuple[float, str, str]]) -> list[dict[str, Any]]:
    """One row per script that others resemble, so that a cluster of copies does not fill the list."""
    rows: dict[str, dict[str, Any]] = {}
    for similarity, a, b in pairs:
        row = rows.setdefault(a, {"a": a, "b": b, "similarity": round(similarity, 3), "alike": 0})
        row["alike"] += 1
    return list(rows.values())


def _phrases(spoken: list[Spoken], n: int, worst: int) -> list[dict[str, Any]]:
    """The runs of at least `n` words that most links share, longest form only."""
    import numpy as np

    rows = [s for s in spoken if len(s.words) >= n]
    if not rows:
        return []
    per_row = [_grams(s.words, n) for s in rows]
    grams, counts = np.unique(np.concatenate([np.unique(g) for g in per_row]), return_counts=True)
    often = np.flatnonzero(counts > 1)
    often = often[np.argsort(-counts[often], kind="stable")][: 40 * worst]
    top = dict(zip(grams[often].tolist(), counts[often].tolist(), strict=True))
    found: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for s, row in zip(rows, per_row, strict=True):
        hits = [(i, top[g]) for i, g in enumerate(row.tolist()) if g in top]
        start = 0
        seen = set()
        for j in range(1, len(hits) + 1):
            # A run of equally frequent n-grams side by side is one longer phrase.
            if j == len(hits) or hits[j][0] != hits[j - 1][0] + 1 or hits[j][1] != hits[j - 1][1]:
                run = s.words[hits[start][0] : hits[j - 1][0] + n]
                if run not in seen:
                    seen.add(run)
                    found[run].append(s.key)
                start = j
    ranked = sorted(found.items(), key=lambda x: (-len(x[1]), -len(x[0]), x[0]))
    out: list[dict[str, Any]] = []
    taken: list[str] = []
    for run, keys in ranked:
        shown = _show(run)
        if len(keys) < 2 or sum(w not in _SHOWN for w in run) < n or any(shown in t or t in shown for t in taken):
            continue
        taken.append(shown)
        out.append({"phrase": shown, "count": len(keys), "keys": keys[:5]})
        if len(out) == worst:
            break
    return out


# --------------------------------------------------------------------------------------------------------------- rule


@dataclass
class Openings:
    """Openings in use, for the rule `repeated_opening`; options come from the rubric that names it."""

    used: dict[int, dict[str, set[str]]] = field(default_factory=dict)

    def take(self, spoken: Spoken, words: int = 4) -> None:
        """Count the opening of a script that is going to air."""
        self.used.setdefault(words, {}).setdefault(spoken.opening(words), set()).add(spoken.link)

    def check(self, spoken: Spoken, options: Mapping[str, Any] | None = None) -> list[Hit]:
        """A hit if other links have used the script's opening `times` times already."""
        options = {**RULES["repeated_opening"].options, **(options or {})}
        shown = spoken.opening(options["words"])
        others = self.used.get(options["words"], {}).get(shown, set()) - {spoken.link}
        if len(others) < options["times"]:
            return []
        return [Hit("repeated_opening", f'opens like {len(others)} other links: "{shown}", begin differently')]


def repeated_openings(spoken: Iterable[Spoken], options: Mapping[str, Any] | None = None) -> dict[str, Hit]:
    """Hits by key for a whole corpus in order: each use of an opening after `times` other links have had it."""
    options = {**RULES["repeated_opening"].options, **(options or {})}
    openings, hits = Openings(), {}
    for s in spoken:
        if found := openings.check(s, options):
            hits[s.key] = found[0]
        openings.take(s, options["words"])
    return hits
