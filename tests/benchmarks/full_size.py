"""What benchmarks need to run the product at the size it is made for, without anybody's weights.

    write_station(folder, songs)      a station of 4 links a song, 96 time checks, 6 weather links; any script passes
    write_llm(folder, "8b")           config and tokenizer of a Llama-3 8B, for vLLM's `load_format=dummy`
    write_chatterbox(folder, variant) random weights of a whole Chatterbox, whose T3 never stops by itself

Speed does not depend on the values of weights, but on how much is written and said: give `ignore_eos` and `max_tokens`.
"""

from __future__ import annotations

import itertools
import json
import shutil
import string
from pathlib import Path

from tests.benchmarks.overhead import WORDS
from tests.tiny import SPECIAL, byte_tokenizer

PERIODS = ("this morning", "this afternoon", "tonight")
SHAPES = {
    "8b": dict(hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32,
               num_key_value_heads=8, max_position_embeddings=8192, vocab_size=128256, rope_theta=500000.0),
    "tiny": dict(hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2,
                 num_key_value_heads=2, max_position_embeddings=8192, vocab_size=8192),
}  # fmt: skip


def write_station(folder: Path, songs: int = 132) -> Path:
    """The sample station with `songs` songs (lyrics and all), a voice clip for each DJ, and rubrics that pass anything.

    132 songs make 630 links: 264 intros, 264 outros, 96 time checks, 6 weather links.
    """
    from engine.config import packaged
    from tests.chatterbox.s3gen_weights import write_clip

    shutil.copytree(packaged("sample_station"), folder)
    lyrics = max((path.read_text() for path in (folder / "lyrics").glob("*.txt")), key=len).partition("\n\n")[2]
    shutil.rmtree(folder / "lyrics")
    (folder / "lyrics").mkdir()
    rows = []
    for i in range(songs):
        title, artist = f"{WORDS[i % 15]} {WORDS[i // 15 % 15]} {i}", f"The {WORDS[i * 7 % 15]}s {i % 97}"
        rows.append({"id": f"s{i:03}", "title": title, "artist": artist, "album": f"Album {i}", "year": 1960 + i % 60})
        rows[-1] |= {"duration_seconds": 180 + i % 60, "intro_seconds": 30}
        (folder / "lyrics" / f"{title} by {artist}.txt").write_text(f"{title} by {artist}\n\n{lyrics}")
    (folder / "catalog.json").write_text(json.dumps({"songs": rows}))
    sky = {"conditions": "light rain, clearing later", "high": 14, "low": 6}
    forecasts = [{"id": p.split()[-1], "period": p, "time": f"{6 + 6 * i:02}:30", **sky} for i, p in enumerate(PERIODS)]
    (folder / "forecast.json").write_text(json.dumps({"forecasts": forecasts}))
    text = (folder / "station.yaml").read_text()
    text = "\n".join(line for line in text.splitlines() if not line.startswith("times:"))
    (folder / "station.yaml").write_text(text + "\ntimes: {every_minutes: 30}\n")
    for path in (folder / "kinds").glob("*/rubric.yaml"):
        kept = [line for line in path.read_text().splitlines() if not line.startswith(("threshold:", "#"))]
        path.write_text("\n".join(["threshold: 1.0", *kept, "rules: {}", ""]))
    for i, dj in enumerate(sorted(p for p in (folder / "djs").iterdir() if p.is_dir())):
        write_clip(dj / "voice.wav", 11.0, pitch=110.0 + 60 * i)
    return folder


def write_llm(folder: Path, size: str = "8b") -> Path:
    """`config.json` and a byte-level tokenizer of the shape's vocabulary: letters, pairs and four-letter words."""
    from transformers import LlamaConfig

    shape = SHAPES[size]
    space, letters = "Ġ", string.ascii_lowercase
    pairs = [(a, b) for a in letters for b in letters]
    grown = itertools.chain(
        pairs,
        ((space, a) for a in letters),
        ((space + a, b) for a, b in pairs),
        ((space + a + b, c) for a, b in pairs for c in letters),
        ((space + a + b + c, d) for d in letters for a, b in pairs for c in letters),
    )
    fast = byte_tokenizer(itertools.islice(grown, shape["vocab_size"] - len(SPECIAL) - 256))
    folder.mkdir(parents=True, exist_ok=True)
    config = LlamaConfig(**shape, bos_token_id=None, eos_token_id=1, pad_token_id=0, rms_norm_eps=1e-5)
    config.architectures, config.dtype = ["LlamaForCausalLM"], "bfloat16"
    config.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def write_chatterbox(folder: Path, variant: str, layers: int | None = None) -> Path:
    """Random weights of upstream's form; `layers` of T3, None for all. Left alone where they are there already."""
    from tests.chatterbox import weights
    from tests.chatterbox.s3gen_weights import write_waveform_half

    if not (Path(folder) / "conds.pt").is_file():
        (weights.write_turbo if variant == "turbo" else weights.write_original)(folder, layers, ends=False)
        write_waveform_half(folder, variant)
    return Path(folder)
