"""Random checkpoints in upstream's form: its file names, tensor names and real width, fewer layers if asked.

The weights are sharpened: projections large enough that attention picks its keys and the best speech token stands
clear of the second, so that comparing tokens compares the arithmetic behind them.

    write_original(folder, layers=4)      t3_cfg.safetensors, tokenizer.json
    write_multilingual(folder, layers=4)  t3_mtl23ls_v2.safetensors, grapheme_mtl_merged_expanded_v1.json
    write_turbo(folder, layers=4)         t3_turbo_v1.safetensors, tokenizer files of GPT-2's form
    write_voice(path, prompt_tokens=150)  a voice's Conditionals, T3's half
"""

from __future__ import annotations

import itertools
import json
import string
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STOP_SPEECH = 6562
AGAIN = 0.03
MULTILINGUAL_TEXT, ENGLISH_TEXT, TURBO_TEXT, TURBO_SPEECH = 2454, 704, 50276, 6563


@contextmanager
def depth(layers: int | None) -> Iterator[None]:
    """Upstream's backbones with `layers` layers instead of 30 and 24."""
    from chatterbox.models.t3.llama_configs import LLAMA_CONFIGS

    full = {name: dict(config) for name, config in LLAMA_CONFIGS.items()}
    if layers is not None:
        LLAMA_CONFIGS["Llama_520M"]["num_hidden_layers"] = layers
        LLAMA_CONFIGS["GPT2_medium"]["n_layer"] = layers
    try:
        yield
    finally:
        for name, config in full.items():
            LLAMA_CONFIGS[name].update(config)


def t3_config(variant: str):
    """Upstream's `T3Config` of a variant, as its `from_local` makes it."""
    from chatterbox.models.t3.modules.t3_config import T3Config

    if variant == "multilingual":
        return T3Config.multilingual()
    if variant == "original":
        return T3Config.english_only()
    config = T3Config(text_tokens_dict_size=TURBO_TEXT)
    config.llama_config_name = "GPT2_medium"
    config.speech_tokens_dict_size = TURBO_SPEECH
    config.input_pos_emb = None
    config.speech_cond_prompt_len = 375
    config.use_perceiver_resampler = False
    config.emotion_adv = False
    return config


def random_t3(variant: str, layers: int | None = 4, seed: int = 0, ends: bool = True):
    """Upstream's T3 with sharpened random weights; one that never `ends` speaks until its token limit."""
    import torch
    from chatterbox.models.t3 import T3

    with depth(layers), torch.device("meta"):
        t3 = T3(t3_config(variant))
    t3.to_empty(device="cpu").eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for name, p in sorted(t3.named_parameters()):
        if p.dim() < 2:
            p.fill_(1.0 if name.endswith("weight") else 0.0)  # norms; biases follow below
            if name.endswith("bias"):
                p.normal_(0, 0.1, generator=generator)
        elif name.endswith(("_emb.weight", "wte.weight")):
            p.normal_(0, 1.0, generator=generator)
        elif "pos_emb" in name or "wpe" in name:
            p.normal_(0, 0.7, generator=generator)
        else:
            conv1d = name.startswith("tfmr.h.")  # transformers' Conv1D is [in, out]
            fan_in = p.shape[0] if conv1d else p.shape[-1]
            p.normal_(0, _gain(name) * fan_in**-0.5, generator=generator)
    # Tokens tempt to be said again, so that a repetition penalty decides something.
    t3.speech_head.weight.add_(t3.speech_emb.weight, alpha=AGAIN)
    # Now and then an utterance ends of itself; ids that are no speech are as rare as after training.
    t3.speech_head.weight[STOP_SPEECH] *= 0.0 if not ends else 1.5 if variant == "turbo" else 1.8
    t3.speech_head.weight[STOP_SPEECH - 1] *= 0.1
    t3.speech_head.weight[STOP_SPEECH + 1 :] *= 0.1
    for name, buffer in t3.named_buffers():
        if name.endswith("inv_freq"):
            rope = type(t3.tfmr.rotary_emb)(t3.cfg)
            buffer.copy_(rope.inv_freq)
    return t3


def _gain(name: str) -> float:
    if "q_proj" in name or "k_proj" in name or "c_attn" in name:
        return 1.6
    return 4.0 if "speech_head" in name else 1.0


def write_original(folder: Path, layers: int | None = 4, seed: int = 0, ends: bool = True) -> Path:
    """T3 and tokenizer of Chatterbox (English)."""
    _save_t3(Path(folder) / "t3_cfg.safetensors", "original", layers, seed, ends)
    write_tokenizer(Path(folder) / "tokenizer.json", ENGLISH_TEXT)
    return Path(folder)


def write_multilingual(folder: Path, layers: int | None = 4, seed: int = 1) -> Path:
    """T3 and tokenizer of Chatterbox Multilingual."""
    _save_t3(Path(folder) / "t3_mtl23ls_v2.safetensors", "multilingual", layers, seed)
    write_tokenizer(Path(folder) / "grapheme_mtl_merged_expanded_v1.json", MULTILINGUAL_TEXT, ["[en]", "[fr]", "[de]"])
    return Path(folder)


def write_turbo(folder: Path, layers: int | None = 4, seed: int = 2, ends: bool = True) -> Path:
    """T3 and tokenizer of Chatterbox Turbo."""
    _save_t3(Path(folder) / "t3_turbo_v1.safetensors", "turbo", layers, seed, ends)
    write_gpt2_tokenizer(Path(folder))
    return Path(folder)


def write_voice(path: Path, prompt_tokens: int = 150, seed: int = 0, exaggeration: float = 0.5) -> Path:
    """A voice's T3 conditionals as upstream's `Conditionals.save` writes them."""
    import torch
    from chatterbox.models.t3.modules.cond_enc import T3Cond
    from chatterbox.tts import Conditionals

    generator = torch.Generator().manual_seed(1000 + seed)
    speaker = torch.nn.functional.normalize(torch.randn(1, 256, generator=generator).abs(), dim=-1)
    tokens = torch.randint(0, 6561, (1, prompt_tokens), generator=generator)
    cond = T3Cond(speaker, cond_prompt_speech_tokens=tokens, emotion_adv=exaggeration * torch.ones(1, 1, 1))
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Conditionals(cond, {}).save(path)
    return Path(path)


def link_files(source: Path, folder: Path, without: tuple[str, ...] = ()) -> Path:
    """Links in `folder`, made where it is missing, to the files of `source`."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        if file.name not in without:
            (folder / file.name).symlink_to(file)
    return folder


def write_tokenizer(path: Path, size: int, extra: list[str] | None = None) -> None:
    """A BPE tokenizer of upstream's form: `size` entries, [STOP] 0, [UNK] 1, [SPACE] 2, [START] 255."""
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

    special = ["[STOP]", "[UNK]", "[SPACE]", "[PAD]", "[SEP]", "[CLS]", "[MASK]", *(extra or [])]
    letters = [c for c in string.printable.strip() + "éèàüöäßçñ\u0301\u0300\u0308" if c not in "[]"]
    pairs = itertools.product(string.ascii_lowercase, repeat=2)
    triples = itertools.product(string.ascii_lowercase, repeat=3)
    merged = itertools.chain(((a, b) for a, b in pairs), ((a + b, c) for a, b, c in triples))
    vocab = {token: i for i, token in enumerate(dict.fromkeys([*special, *letters]))}
    merges = []
    while len(vocab) < size - 1:
        left, right = next(merged)
        vocab[left + right] = len(vocab)
        merges.append((left, right))
    vocab["[START]"] = len(vocab)
    # [START] changes places with whatever stands at 255.
    there = next(token for token, i in vocab.items() if i == 255)
    vocab[there], vocab["[START]"] = vocab["[START]"], 255
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens([AddedToken(t, normalized=False) for t in [*special, "[START]"]])
    assert tokenizer.get_vocab_size() == size
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(path))


def write_gpt2_tokenizer(folder: Path) -> None:
    """A byte-level BPE tokenizer of GPT-2's form with Turbo's 50,276 entries, `[laugh]` and its like among them."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    tags = ["[laugh]", "[chuckle]", "[sigh]", "[gasp]", "[cough]", "[clear throat]", "[sniff]", "[groan]", "[shush]"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    alphabet.sort(key=lambda c: (not (c.isascii() and c.isalpha()), c))
    vocab = {c: i for i, c in enumerate(alphabet)}
    merges = []
    for pair in itertools.islice(itertools.product(alphabet, repeat=2), TURBO_TEXT - 20 - len(alphabet)):
        vocab["".join(pair)] = len(vocab)
        merges.append(pair)
    tokenizer = Tokenizer(models.BPE(vocab, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    names = [*tags, *(f"[tag {i}]" for i in range(19 - len(tags)))]
    tokenizer.add_tokens([AddedToken(name, normalized=False) for name in names])
    assert tokenizer.get_vocab_size() == TURBO_TEXT
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "GPT2TokenizerFast", "model_max_length": 1024, "add_prefix_space": False}
    config |= {name: "<|endoftext|>" for name in ("bos_token", "eos_token", "unk_token")}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")


def _save_t3(path: Path, variant: str, layers: int | None, seed: int, ends: bool = True) -> None:
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    state = random_t3(variant, layers, seed, ends).state_dict()
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
