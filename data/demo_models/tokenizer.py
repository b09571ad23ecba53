"""The demo models' tokenizer: byte-level BPE in which a name is spelled the same in the brief and in the script.

Digits, punctuation, letters beyond a to z and the spaces before them are tokens of their own, so the only thing that
can change how a word is split is the space in front of it; the chat template and the grammar see to it that names have
the same left neighbour in both places. Copying a name is then copying tokens. The signs of Western names (`SIGNS`) are
one token each: their two bytes would be shared by neighbours ("Ibáñez"), and a copy would lose its place between them.
"""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from data.demo_models.briefs import DJS, KINDS, TEMPLATE, Briefs, model_prompt
from data.demo_models.grammar import word_list
from data.demo_models.names import SIGNS, Names
from data.demo_models.scripts import write_script
from data.demo_models.verdicts import CRITERIA, Scripts

VOCABULARY = 2176
PAD, END, WRITE, VERDICT = "<|pad|>", "<|end|>", "<|write|>", "<|verdict|>"
SPECIAL = (
    PAD, END, WRITE, VERDICT, "<|intro|>", "<|outro|>", "<|time|>", "<|weather|>", "<|kind|>", "<|title|>",
    "<|artist|>", "<|year|>", "<|themes|>", "<|next|>", "<|period|>", "<|conditions|>", "<|high|>", "<|low|>",
    "<|script|>", "<|avoid|>", "<|no|>", *(f"<|len{n}|>" for n in range(1, 19)),
)  # fmt: skip


def train_tokenizer(seed: int, texts: int) -> Tokenizer:
    """Learn the vocabulary from scripts of the grammar, the names' word lists and verdicts."""
    rng = random.Random(seed)
    names = Names(random_share=0.0)
    briefs, audits = Briefs(names), Scripts(names)
    corpus = [
        w for name in ("nouns", "adjectives", "verbs", "first", "band_heads") for w in word_list("names", name, " ")
    ]
    corpus = [f" {w}" for w in corpus] + [f'"{w}' for w in corpus] + [f" {w}" for w in word_list("names", "last")]
    corpus *= 4
    for i in range(texts):
        brief = briefs.draw(rng, KINDS[i % 4], rng.choice((*DJS, *DJS, "other")))
        corpus += [model_prompt(brief), " " + write_script(brief, rng)[0]]
        if i % 4 == 0:
            corpus.append(audits.draw(rng)[1])
    corpus += [f'"{c}":' for kind in CRITERIA.values() for c in kind] * 50
    corpus += list(SIGNS) * texts  # often enough to be learned before any word
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r" ?[A-Za-z_]+|[\p{L}\p{M}]|\p{N}|[^\s\p{L}\p{M}\p{N}]|\s"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=list(SPECIAL), show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), max_token_length=20,
    )  # fmt: skip
    tokenizer.train_from_iterator(corpus, trainer)
    return tokenizer


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer saved in `folder`."""
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def letter_pieces(tokenizer: Tokenizer) -> tuple[str, ...]:
    """The vocabulary's plain letter sequences, from which `Names` builds words nobody has seen."""
    pieces = (token.removeprefix("Ġ") for token in tokenizer.get_vocab())
    return tuple(sorted({p for p in pieces if p.isascii() and p.isalpha() and len(p) <= 6}))


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write tokenizer and chat template as transformers and vLLM look for them."""
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END,
        "pad_token": PAD,
        "model_max_length": 2048,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    shutil.copyfile(TEMPLATE, folder / "chat_template.jinja")
