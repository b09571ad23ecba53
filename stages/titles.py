"""Titles and artists as they are spoken, and as they are compared.

What catalogs add to a title ("- Remastered 2011", "(Live at …)", "feat. …") is not part of what a DJ says; and two
spellings of one song ("Café Lumière", "Cafe Lumiere") are the same song.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

# What distributors add to a title and nobody says. Each is a whole "- …", "(…)" or "[…]" at the end of the title:
# "Live Forever", "Mono No Aware" or "(Live Like This)" stay as they are.
_YEAR = r"(?:19|20)\d\d"
_VERSION = rf"""
    (?:{_YEAR}\s+)?(?:digital(?:ly)?\s+)?re-?master(?:ed)?(?:\s+(?:version|edition|{_YEAR}))*(?:\s*/.*)?
  | (?:{_YEAR}\s+)?(?:original\s+|stereo\s+|mono\s+)?(?:
        mono|stereo|single|album|lp|original|radio|short|extended|full\s+length|explicit|clean)
      \s+(?:version|edit|mix)(?:\s+{_YEAR})?
  | radio\s+edit | bonus\s+track | mono | stereo | explicit | (?:super\s+)?deluxe(?:\s+(?:edition|version))?
  | {_YEAR}\s+(?:mix|version|edit)
  | (?:recorded\s+)?live (?: \s+(?:version|session|acoustic|recording|edit|{_YEAR})
                           | \s+(?:at|from|on)\s+\S.*
                           | \s+in\s+(?!the\b|a\b|my\b|your\b|this\b)\S.*
                           | \s+in\s+the\s+(?:studio|lounge|live\s+lounge)\b.*
                           | \s*[,/].* )?
  | (?:feat|ft|featuring)\b\.?\s+\S.*
"""
_SUFFIX = re.compile(
    rf"\s*(?:\((?:{_VERSION})\)|\[(?:{_VERSION})\]|\s[-–—]\s+(?:{_VERSION}))\s*$",
    re.IGNORECASE | re.VERBOSE,
)
_MAYBE = re.compile(
    r"[\])]$|\s[-–—]\s|\b(?:feat|ft)\.", re.IGNORECASE
)  # cheap, and true of all that can lose something
_FEAT_BARE = re.compile(r"\s+(?:feat|ft)\.\s+[^\s(][^(]*$", re.IGNORECASE)
_FEAT = re.compile(r"\s+(?:feat|ft)\.?\s+(?=\S)(.*)$", re.IGNORECASE)
_FEAT_BRACKET = re.compile(r"\s*[(\[](?:feat\.?|ft\.?|featuring)\s+([^)\]]+)[)\]]\s*$", re.IGNORECASE)


def spoken_title(title: str) -> str:
    """`title` without "- Remastered 2011", "(Live at …)", "[feat. …]" and the like: as a DJ would say it.

    >>> spoken_title("Lamplighter's Waltz - Remastered 2011"), spoken_title("Live Forever")
    ("Lamplighter's Waltz", 'Live Forever')
    """
    if _MAYBE.search(title):
        while (match := _SUFFIX.search(title)) and match.start() > 0:
            title = title[: match.start()]
        if (match := _FEAT_BARE.search(title)) and match.start() > 0:
            title = title[: match.start()]
    return title.strip()


def spoken_artist(artist: str) -> str:
    """`artist` with "feat." and "ft." written out: "Ada Quill feat. Tern" becomes "Ada Quill featuring Tern"."""
    if match := _FEAT_BRACKET.search(artist):
        artist = f"{artist[: match.start()]} featuring {match[1].strip()}" if match.start() else artist
    return _FEAT.sub(r" featuring \1", artist)


_APOSTROPHES = re.compile("['\u2018\u2019\u02bc`\u00b4]")
_WORDS = re.compile(r"[^\W_]+")
_BRACKETS = re.compile(r"\s*[(\[][^)\]]*[)\]]\s*")
_OTHERS = re.compile(r"\s+(?:feat\.?|ft\.?|featuring|with)\s+.*$", re.IGNORECASE)
_LETTERS = str.maketrans(
    {
        "ø": "o",
        "đ": "d",
        "ł": "l",
        "ı": "i",
        "æ": "ae",
        "œ": "oe",
        "ð": "d",
        "þ": "th",
        "&": " and ",
    }
)


@lru_cache(maxsize=8192)
def comparable(text: str) -> str:
    """`text` reduced to what two spellings of one name share: no case, accents, punctuation, apostrophes; & is and.

    A text without any letter or digit stays as it is, so that "???" still equals itself.
    """
    folded = _APOSTROPHES.sub("", text.casefold().translate(_LETTERS))
    if not folded.isascii():
        folded = "".join(c for c in unicodedata.normalize("NFKD", folded) if not unicodedata.combining(c))
    return " ".join(_WORDS.findall(folded)) or text.strip().casefold()


@lru_cache(maxsize=8192)
def core(text: str) -> str:
    """`comparable` without what is in brackets, without guests, without a leading "the"."""
    short = _OTHERS.sub("", _BRACKETS.sub(" ", text)).strip()
    return comparable(short or text).removeprefix("the ")
