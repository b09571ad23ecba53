"""Training examples: token ids with the weight of the loss at each, prompts weighing nothing."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from functools import lru_cache

from tokenizers import Tokenizer

from data.demo_models.briefs import DJS, KINDS, Briefs, model_prompt
from data.demo_models.names import Names
from data.demo_models.scripts import fitting_words, opening, write_script
from data.demo_models.tokenizer import END, letter_pieces
from data.demo_models.verdicts import Scripts

LONGEST = 420
BARE_SHARE = 0.1  # of the writer's examples
DECISION_WEIGHT = 8.0  # of what decides a verdict: its first issue, its scores
READING_WEIGHT = 0.3  # of predicting a good script itself, from which the auditor learns what scripts are like

Example = tuple[list[int], list[float]]


@lru_cache(maxsize=4)
def _sources(tokenizer: Tokenizer) -> tuple[Briefs, Scripts]:
    names = Names(letter_pieces(tokenizer), repeated_share=0.2)  # twice what is met: copying them is what is hardest
    return Briefs(names, odd_periods=0.15), Scripts(names)


def writer_examples(
    tokenizer: Tokenizer, rng: random.Random, count: int, bare: bool = False, weight: float = 1.0
) -> Iterator[Example]:
    """`count` briefs with scripts; with `bare`, of facts to be copied and nothing else; facts have `weight`."""
    briefs, _ = _sources(tokenizer)
    for _ in range(count):
        if bare or rng.random() < BARE_SHARE:
            yield from _kept(tokenizer, *_bare(briefs, rng), weight)
            continue
        kind = rng.choices((*KINDS, "user"), (28, 32, 12, 25, 3))[0]
        brief = briefs.draw(rng, kind, rng.choices((*DJS, "guest"), (45, 45, 10))[0])
        avoid = _avoid(briefs, brief, rng) if rng.random() < 0.4 else ()
        text, spans = write_script(brief, rng, avoid)
        if rng.random() < 0.93:
            brief["Words"] = fitting_words(text, rng)
        if avoid:
            brief["Avoid"] = " | ".join(avoid)
        yield from _kept(tokenizer, model_prompt(brief), text, spans, weight)


def _bare(briefs: Briefs, rng: random.Random) -> tuple[str, str, list[tuple[int, int]]]:
    """A brief of names, or of a forecast, and a line of nothing but them: copying with hardly a word around it."""
    names = briefs.names
    if rng.random() < 0.25:
        brief = {**briefs.draw(rng, "weather", "guest"), "Task": "user"}
        figures = "".join(f", {brief[label]}" for label in ("High", "Low") if label in brief)
        text = f"It's {brief['Conditions']} {brief['Period']}{figures}."
    else:
        title = names.stutter(rng) if rng.random() < 0.3 else names.title(rng)
        brief = {"Task": "user", "DJ": "guest", "Title": title, "Artist": names.artist(rng)}
        text = f'"{title}" by {brief["Artist"]}.'
    return model_prompt(brief), text, [(0, len(text))]


def _avoid(briefs: Briefs, brief: dict[str, str], rng: random.Random) -> tuple[str, ...]:
    """Openings of other scripts on the same brief, as a prompt would list them."""
    texts = (write_script(brief, rng)[0] for _ in range(rng.choice((1, 1, 1, 2, 3, 5, 6))))
    longest = rng.randint(3, 9)
    return tuple(dict.fromkeys(" ".join(t.split()[:longest]).replace("|", "") for t in texts if opening(t)))


def auditor_examples(
    tokenizer: Tokenizer, rng: random.Random, count: int, bare: bool = False, weight: float = 1.0
) -> Iterator[Example]:
    """`count` scripts with verdicts; what decides (the first issue, the scores) weighs more than the JSON around it."""
    _, scripts = _sources(tokenizer)
    for _ in range(count):
        brief, verdict, defect = scripts.draw(rng)
        decisive = [(m.start(), m.end()) for m in re.finditer(r"(?<=:)\d+|(?<=\[).", verdict)]
        script = tokenizer.token_to_id("<|script|>")
        for ids, weights in _kept(tokenizer, model_prompt(brief), verdict, decisive, DECISION_WEIGHT, rest=0.5):
            for i in range(ids.index(script) + 1, len(ids)):
                weights[i] = weights[i] or (0.0 if defect else READING_WEIGHT)
            yield ids, weights


def _kept(
    tokenizer: Tokenizer,
    prompt: str,
    text: str,
    spans: list[tuple[int, int]],
    weight: float,
    rest: float = 1.0,
) -> Iterator[Example]:
    """The example as a list of one, or of none where it is too long to be worth its time."""
    before = tokenizer.encode(prompt).ids
    encoded = tokenizer.encode(text)
    heavy = [any(a < end and start < b for start, end in spans) for a, b in encoded.offsets]
    ids = before + encoded.ids + [tokenizer.token_to_id(END)]
    if len(ids) <= LONGEST:
        yield ids, [0.0] * len(before) + [weight if h else rest for h in heavy] + [1.0]
