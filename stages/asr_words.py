"""How far what was heard is from what was to be said: word errors, both texts brought to one spelling first.

"At 7:30 it's 21°" and "at seven thirty it is twenty-one degrees" are the same words: numbers, times and abbreviations
are spelled out as Chatterbox is told to say them (`stages.tts.chatterbox.spelling`), then both texts go through the
normaliser that Whisper's own error rates are measured with (`transformers`' `EnglishTextNormalizer` and
`BasicTextNormalizer`, from `whisper/normalizers`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from stages.rules.spelling import straighten
from stages.tts.chatterbox.spelling import spell_out

UNSPACED = ("zh", "ja", "th", "lo", "my", "km", "yue")
"""Languages written without spaces between words: their letters are counted instead."""
_HALF_DAY = re.compile(r"\b([ap]) m\b")
_DOTS = re.compile(r"\.{2,}|…")
_BESIDE = re.compile(r"[()]")


@dataclass(frozen=True, slots=True)
class WordErrors:
    """What an error rate is made of.

    Attributes:
        errors: words left out, put in or said as others.
        words: words of the script.
    """

    errors: int
    words: int

    @property
    def rate(self) -> float:
        """Errors a word of the script; above 1 where more was heard than was to be said."""
        return self.errors / max(self.words, 1)


def word_errors(script: str, heard: str, language: str = "en", spelling: Mapping[str, str] | None = None) -> WordErrors:
    """Hold a transcript against its script.

    Args:
        language: BCP 47 tag of both; only its first part counts.
        spelling: British words and the American ones they are taken for, as a Whisper's `normalizer.json` has them.
    """
    from torchaudio.functional import edit_distance

    # The normaliser leaves out what is in parentheses: in a transcript "(music)", in a script a title's second half.
    said = words(_BESIDE.sub(" ", script), language, spelling)
    return WordErrors(edit_distance(said, words(heard, language, spelling)), len(said))


def words(text: str, language: str = "en", spelling: Mapping[str, str] | None = None) -> list[str]:
    """The words of `text` as they are compared; stage directions such as `[laugh]` are none."""
    from transformers.models.whisper.english_normalizer import BasicTextNormalizer, EnglishTextNormalizer

    language = language.lower().replace("_", "-").partition("-")[0]
    text = spell_out(_DOTS.sub(" ", straighten(text)), language)
    if language != "en":
        return BasicTextNormalizer(split_letters=language in UNSPACED)(text).split()
    return _HALF_DAY.sub(r"\1m", EnglishTextNormalizer(dict(spelling or {}))(text)).split()
