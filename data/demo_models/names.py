"""Invented titles and artists, strange on purpose.

A model that only ever copies ordinary words learns to write ordinary words. So about half of the names are built from
random pieces of the tokenizer's vocabulary, and the rest mix in accents, digits, punctuation, curly quotes, repeated
words and other scripts. One name in twenty is held back from training, by hash, for the benchmark.
"""

from __future__ import annotations

import hashlib
import random
import string

from data.demo_models.grammar import word_list

_ACCENTS = {
    "a": "áàâäãåąă", "c": "çćč", "e": "éèêëęě", "i": "íìîïı", "l": "ł", "n": "ñńň", "o": "óòôöõøő", "r": "ř",
    "s": "śšşß", "u": "úùûüůű", "y": "ýÿ", "z": "źżž", "A": "ÁÀÂÄÅ", "E": "ÉÈÊ", "O": "ÓÖØÔ", "U": "ÜÚ", "S": "ŠŚ",
}  # fmt: skip
# Letters and signs beyond ASCII that Western names are written with.
SIGNS = "".join(sorted({*"".join(_ACCENTS.values()), *"ÍÓÑÇĐđŁØÞþð", *"“”‘’„«»…–—´·½€£¥¡¿§°№™®"}))
_SUBJECTS = ("I", "You", "We", "They")
_AUXILIARIES = ("Don’t", "Can’t", "Won’t", "Don't", "Can't", "Ain't", "Didn’t", "'ll", "Never", "Always")


def held_out(name: str) -> bool:
    """Whether training never sees this name."""
    return hashlib.blake2b(name.encode(), digest_size=4).digest()[0] % 20 == 0


class Names:
    """Draws titles and artists.

    Args:
        pieces: letter sequences for the random half, ideally the tokenizer's own vocabulary; made up where empty.
        held: draw only held-back names instead of only training ones.
        random_share: share of names built from random pieces.
        repeated_share: share of titles that repeat words.
    """

    def __init__(
        self,
        pieces: tuple[str, ...] = (),
        held: bool = False,
        random_share: float = 0.45,
        repeated_share: float = 0.11,
    ):
        self.pieces, self.held = pieces, held
        self.random_share, self.repeated_share = random_share, repeated_share

    def title(self, rng: random.Random) -> str:
        """A song title of 1 to 12 words."""
        return self._draw(rng, self._title)

    def artist(self, rng: random.Random) -> str:
        """An artist or band name."""
        return self._draw(rng, self._artist)

    def stutter(self, rng: random.Random) -> str:
        """A title that repeats words, which is what copying finds hardest."""
        return self._draw(rng, self._repeated)

    def phrase(self, rng: random.Random, words: int) -> str:
        """`words` lower-case made-up words: a theme or a kind of sky nobody listed."""
        return " ".join(self._word(rng).lower() for _ in range(words))

    def _draw(self, rng: random.Random, make) -> str:
        while True:
            name = " ".join(make(rng).split())[:72].strip()
            if name and '"' not in name.strip('"') and held_out(name) == self.held:
                return name

    # ------------------------------------------------------------ random pieces
    def _word(self, rng: random.Random) -> str:
        if self.pieces:
            word = "".join(rng.choice(self.pieces) for _ in range(rng.choice((1, 1, 2, 2, 3, 4))))
        else:
            word = "".join(rng.choice(string.ascii_lowercase) for _ in range(rng.randint(2, 9)))
        style = rng.random()
        if style < 0.6:
            word = word[:1].upper() + word[1:].lower()
        elif style < 0.8:
            word = word.lower()
        elif style < 0.9:
            word = word.upper()
        return self._accented(word, rng) if rng.random() < 0.12 else word

    @staticmethod
    def _accented(word: str, rng: random.Random) -> str:
        return "".join(rng.choice(_ACCENTS[c]) if c in _ACCENTS and rng.random() < 0.5 else c for c in word)

    def _random(self, rng: random.Random, longest: int) -> str:
        count = min(longest, 1 + int(rng.expovariate(0.4)))
        return self._ornament(" ".join(self._word(rng) for _ in range(count)), rng, 0.3)

    # ------------------------------------------------------------ ornaments
    def _ornament(self, name: str, rng: random.Random, chance: float) -> str:
        if rng.random() > chance:
            return name
        words = name.split(" ")
        i = rng.randrange(len(words))
        what = rng.randrange(13)
        if what == 0:
            words[i] += ","
        elif what == 1:
            cut = rng.randint(0, len(words[i]))
            words[i] = words[i][:cut] + rng.choice("''’’`´") + words[i][cut:]
        elif what == 2:
            words[i] += rng.choice("-–/.:+&*_") + self._word(rng)
        elif what == 3:
            words.insert(i, rng.choice(("&", "+", "/", "-", "–", "vs.", "x", "@", "=", "…", "|")))
        elif what == 4:
            words.insert(i, self._number(rng))
        elif what == 5:
            words[i:] = ["(" + " ".join(words[i:]) + ")"] if i else [words[0], "(" + self._word(rng) + ")", *words[1:]]
        elif what == 6:
            words[-1] += rng.choice(("!", "?", "...", "?!", "!!", ".", "…", "!!!"))
        elif what == 7:
            words[i] = "“" + words[i] + "”" if rng.random() < 0.7 else "‘" + words[i] + "’"
        elif what == 8:
            words[i] = ".".join(words[i][:3].upper()) + "."
        elif what == 9:
            words.append(rng.choice(word_list("names", "scraps")).replace("{artist}", self._word(rng)))
        elif what == 10:
            words[i] = rng.choice("#$%&*¿¡£€'’(") + words[i]
        elif what == 11:
            words[i] = words[i].replace("s", "$").replace("e", "3").replace("o", "0")
        else:
            words[i] = self._accented(words[i], rng)
        return " ".join(words)

    @staticmethod
    def _number(rng: random.Random) -> str:
        return rng.choice((
            str(rng.randint(0, 99)), str(rng.randint(100, 2100)), f"{rng.randint(1, 12)}:{rng.randint(0, 59):02}",
            f"{rng.randint(1, 99)},{rng.randint(0, 999):03}", f"{rng.randint(1, 9)}.{rng.randint(0, 9)}",
            f"{rng.randint(1, 31)}-{rng.randint(1, 31)}", f"{rng.randint(1, 99)}½", f"'{rng.randint(10, 99)}",
        ))  # fmt: skip

    def _repeated(self, rng: random.Random) -> str:
        pick = lambda: rng.choice(word_list("names", "pairs")) if rng.random() < 0.4 else self._any_word(rng)  # noqa: E731
        a, b, times = pick(), pick(), rng.randint(2, 5)
        joint = rng.choice((" ", " ", " ", ", ", "-", "! "))
        shape = rng.randrange(7)
        if shape <= 2:
            return joint.join([a] * times)
        if shape == 3:
            return joint.join([a] * times) + " " + b
        if shape == 4:
            return b + " " + joint.join([a] * times)
        if shape == 5:
            return " ".join([a, b] * rng.randint(2, 3)) + (" " + a if rng.random() < 0.4 else "")
        return f"{a} {rng.choice(('and', '&', 'to', 'by', 'after', 'or', 'in'))} {a}"

    def _any_word(self, rng: random.Random) -> str:
        if rng.random() < 0.4:
            return self._word(rng)
        return rng.choice(word_list("names", rng.choice(("nouns", "adjectives", "verbs", "nouns")), " "))

    # ------------------------------------------------------------ word grammar
    def _title(self, rng: random.Random) -> str:
        draw = rng.random()
        if draw < self.repeated_share:
            return self._repeated(rng)
        if draw < self.repeated_share + self.random_share:
            return self._random(rng, 12)
        if draw > 0.98:
            return rng.choice(word_list("names", "foreign"))
        noun = lambda: rng.choice(word_list("names", "nouns", " "))  # noqa: E731
        adj = lambda: rng.choice(word_list("names", "adjectives", " "))  # noqa: E731
        verb = lambda: rng.choice(word_list("names", "verbs", " "))  # noqa: E731
        small = lambda: rng.choice(word_list("names", "small", " "))  # noqa: E731
        shape = rng.randrange(12)
        if shape <= 4:  # loose strings of common words, which is what real titles look like to a model
            count = rng.choice((1, 2, 2, 3, 3, 4, 5, 6, 8, 10, 12))
            words = [rng.choice((noun, adj, verb, small, small))() for _ in range(count)]
            words = [w if rng.random() < 0.3 else w[:1].upper() + w[1:] for w in words]
            name = " ".join(words)
        elif shape == 5:
            name = f"The {adj()} {noun()}"
        elif shape == 6:
            name = f"{verb()} {small().capitalize()} {noun()}"
        elif shape == 7:
            name = f"{noun()} {rng.choice(('of', 'in', 'for', 'on', 'without', 'Of The', 'in the'))} {noun()}"
        elif shape == 8:
            name = f"{adj()} {noun()}"
        elif shape == 9:
            name = f"{noun()} {self._number(rng)}" if rng.random() < 0.5 else self._number(rng)
        elif shape == 10:
            aside = f"({verb()} {small()} {noun()})"
            name = f"{aside} {noun()}" if rng.random() < 0.4 else f"{noun()} {aside}"
        else:
            name = f"{rng.choice(_SUBJECTS)} {rng.choice(_AUXILIARIES)} {verb()} {small()} {noun()}"
        style = rng.random()
        name = name.upper() if style < 0.06 else name.lower() if style < 0.11 else name
        return self._ornament(name, rng, 0.25)

    def _artist(self, rng: random.Random) -> str:
        draw = rng.random()
        if draw < self.random_share:
            return self._random(rng, 7)
        first = lambda: rng.choice(word_list("names", "first", " "))  # noqa: E731
        last = lambda: rng.choice(word_list("names", "last"))  # noqa: E731
        heads = lambda: rng.choice(word_list("names", "band_heads", " "))  # noqa: E731
        shape = rng.randrange(12)
        word = self._any_word(rng)
        if shape <= 2:
            name = f"{first()} {last()}"
        elif shape == 3:
            name = f"The {word} {heads()}"
        elif shape == 4:
            link = rng.choice(("&", "and", "and the", "& The", "& His", "y los"))
            name = f"{first()} {last()} {link} {rng.choice(('', f'{rng.randint(2, 40)} '))}{heads()}"
        elif shape == 5:
            name = f"The {rng.choice(word_list('names', 'nouns', ' '))}s"
        elif shape == 6:
            name = ".".join(rng.choice(string.ascii_uppercase) for _ in range(rng.randint(2, 5))) + rng.choice(
                (".", "")
            )
        elif shape == 7:
            name = f"{first()} {rng.choice(('feat.', 'featuring', 'with', 'x', 'vs.', '/'))} {last()}"
        elif shape == 8:
            name = (
                f"{rng.choice(word_list('names', 'adjectives', ' '))} {rng.choice(word_list('names', 'animals', ' '))}"
            )
        elif shape == 9:
            name = word if rng.random() < 0.7 else word.upper()
        elif shape == 10:
            name = f"{word} {self._number(rng)}" if rng.random() < 0.6 else f"{self._number(rng)} {word}"
        else:
            name = f"{first()[:1]}. {first()[:1]}. {last()}" if rng.random() < 0.5 else f"{last()}, {last()} & {last()}"
        return self._ornament(name, rng, 0.18)
