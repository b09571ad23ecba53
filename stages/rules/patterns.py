"""Small helpers for rules: patterns written one phrase a line, and texts cut short for messages."""

from __future__ import annotations

import re


def any_of(*phrases: str, flags: int = 0) -> re.Pattern:
    """One pattern that matches any of `phrases`; in a phrase, a space stands for itself."""
    return re.compile("|".join(phrases), flags)


def clip(text: str, most: int = 40) -> str:
    """`text` on one line, at most `most` characters."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"
