"""How names are spelled and said: the forms of a title or artist that count as naming it.

Names are compared by *compact form*: accents, case, punctuation and spaces dropped, `&` read as `and`.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from stages.speech import ONES, TEENS, TENS, VALUES, number_to_words, year_to_words

_STRAIGHT = str.maketrans(
    {
        **dict.fromkeys("’‘ʼ´′‛", "'"),
        **dict.fromkeys("“”„‟«»″", '"'),
        "\u00a0": " ",
        "–": "—",
    }
)
TOKEN = re.compile(r"[^\W_]+(?:'(?!s\b)[^\W_]+)*|[&+]")
_ALIAS = {
    "&": "and", "+": "and", "n": "and", "pt": "part", "ft": "featuring", "feat": "featuring", "vs": "versus",
    "mr": "mister", "dr": "doctor",
}  # fmt: skip
_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "þ": "th", "ð": "d", "ı": "i"})
SMALL = frozenset("the a an of and or in on to for by with at from my your our its is it".split())


@lru_cache(maxsize=100_000)
def fold(token: str) -> str:
    """A token without case, accents and apostrophes, abbreviations
    read out: `Pt` -> `part`, `Krzywosz’` -> `krzywosz`."""
    if token.isascii():
        out = token.lower().replace("'", "")
    else:
        wide = unicodedata.normalize("NFKD", token.casefold().translate(_LETTERS))
        out = "".join(c for c in wide if c.isalnum())
    return _ALIAS.get(out or token, out)


def straighten(text: str) -> str:
    """Typographic quotes, dashes and no-break spaces as plain ones, character for character."""
    return text.translate(_STRAIGHT)


@dataclass(frozen=True, slots=True)
class Name:
    """A title or artist, ready to be looked for.

    Attributes:
        raw: as the catalog has it, quotes straightened.
        forms: the compact forms that count as naming it, longest first; empty for a name without letters or digits.
        short: those of them that are one word, so that only a mention that stands out counts (`Stay`, `The Lamps`).
    """

    raw: str
    forms: tuple[str, ...]
    short: frozenset[str]


_BRACKETED = re.compile(r"\s*[(\[][^)\]]*[)\]]\s*")
_GUEST = re.compile(r"\s*[(\[]?\b(?:feat\.?|ft\.?|featuring)\s.*$", re.IGNORECASE)
_HALVES = {"½": " and a half", "¼": " and a quarter", "¾": " and three quarters"}


def _compact(text: str) -> str:
    return "".join(fold(t) for t in TOKEN.findall(text))


_DIGIT = re.compile(r"\d|[½¼¾]")
_NUMBER = re.compile(r"(?<!\d)\d{1,4}(?!\d)")
_SPELLED = re.compile(
    rf"\b(?:(?:{'|'.join(TENS)})[- ](?:{'|'.join(ONES)})|{'|'.join(TEENS)}|{'|'.join(TENS)}|{'|'.join(ONES)})\b", re.I
)
_ROMAN = re.compile(r"\b(?:part|pt\.?|vol\.?|volume|chapter) (i{1,3}|iv|v)\b", re.I)
_ROMANS = {"i": "1", "ii": "2", "iii": "3", "iv": "4", "v": "5"}
_STYLED = re.compile(r"\w[$!]\w|\$\w")
_ARTICLE = re.compile(r"(?:the|a|an)\s+(?=\S)", re.I)
_AND_THE = re.compile(r"(&|\+|\band)\s+the\s", re.I)


def _spoken(text: str) -> str:
    """`text` with its numbers in words, the way a DJ says them."""
    text = re.sub(r"#(?=\d)", "number ", "".join(_HALVES.get(c, c) for c in text))

    def say(m: re.Match) -> str:
        n = int(m[0])
        return f" {year_to_words(n) if 1100 <= n <= 2099 else number_to_words(n)} "

    return _NUMBER.sub(say, text)


def _in_digits(text: str) -> str:
    """`text` with its spelled numbers in digits: `Fifty Ways` -> `50 Ways`."""
    return _SPELLED.sub(lambda m: str(sum(VALUES[w] for w in re.split(r"[- ]", m[0].lower()))), text)


@lru_cache(maxsize=100_000)
def name_of(raw: str, whole: bool = False) -> Name:
    """The accepted forms of a title or artist.

    Besides the name itself: without a leading "The", without bracketed parts or guests ("(Pt. 2)", "feat. X"; not when
    `whole`), with numbers in words or in digits, with `$` and `!` inside a word read as letters.
    """
    raw = straighten(raw).strip()
    texts = [raw]
    if not whole:
        if "(" in raw or "[" in raw:
            texts.append(_BRACKETED.sub(" ", raw).strip())
        if _GUEST.search(raw):
            texts.append(_GUEST.sub("", raw).strip())
    for text in list(texts):
        if _STYLED.search(text):
            texts.append(re.sub(r"\$", "s", re.sub(r"(?<=\w)!(?=\w)", "i", text)))
        if _DIGIT.search(text):
            texts.append(_spoken(text))
        elif _SPELLED.search(text):
            texts.append(_in_digits(text))
        if _ROMAN.search(text):
            texts.append(_ROMAN.sub(lambda m: f"part {_ROMANS[m[1].lower()]}", text))
    forms: dict[str, int] = {}  # compact form -> words that are more than articles and the like

    def accept(text: str) -> None:
        tokens = [fold(t) for t in TOKEN.findall(text)]
        forms.setdefault("".join(tokens), sum(t not in SMALL for t in tokens))

    for text in texts:
        accept(text)
        if m := _ARTICLE.match(text):
            accept(text[m.end() :])
        if _AND_THE.search(text):
            accept(_AND_THE.sub(r"\1 ", text))
    forms.pop("", None)
    short = frozenset(f for f, n in forms.items() if n <= 1 and (raw != raw.lower() or f.isdigit()))
    return Name(raw, tuple(sorted(forms, key=len, reverse=True)), short)


# Words that open sentences often enough that a capital there does not make them a name.
COMMON = frozenset(
    """about after again ain't all alone alright always and angel another any are away baby back be beautiful
    because been before believe better big black blue born both boys breathe bring but by bye call can can't
    change clean close closer cold come could crazy crying dance days dear did do does don't don down dream
    dreams drive each easy else even ever every everybody everything everywhere falling far fast feel fine fire
    first for forever free friday friends from get girl girls give go gone good goodbye gotta great had happy
    hard has have he heart heaven hello help her here heroes hey high him his hit hold home hope how hurt i if
    imagine in is it its jump just keep kiss know last late laugh leave let lets life light like listen little
    live lonely long look lost love lovely low lucky many may maybe me memories midnight mine monday money moon
    more morning most move much music must my need never new next nice night no nobody none not nothing now of
    oh ok old on once one only open or our out over paradise people perfect play please power pride pretty quiet
    rain ready real red remember ride right river rise roll round run sad safe same saturday save say see she
    should show silence sing sister slow smile so some somebody someone something sometimes soon sorry speak
    stand star stars start stay still stop strange stronger summer sun sunday sure sweet take talk tell thank
    thanks that the their them then there these they this those thunder time to today together tomorrow tonight
    too trouble true trust try turn two under until up us waiting wait walk want warm was watch water we well
    were what when where which while white who why wild will wish with without woman women wonderful words work
    world would yes yesterday yet you young your youre
    """.split()
)
