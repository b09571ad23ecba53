"""Utterances for comparing T3 with upstream: of unlike length, two voices, every sampling parameter varied."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.records import Output, Request
from stages.tts.chatterbox.t3_sampling import resolve
from tests.conftest import CPU_ENV

GREEDY = 12
ENGINE = {"max_num_seqs": 16, "max_model_len": 1024, "max_num_batched_tokens": 8192, "block_size": 32}
OWN_PROCESS = CPU_ENV | {"VLLM_ENABLE_V1_MULTIPROCESSING": "1"}
TEXTS = (
    "Good morning, Port Amity.",
    "The kettle is on and the bus is late again, as it always is on a Tuesday in November.",
    "Rain later.",
    "That was Harbour Lights by the Night Ferry, from nineteen eighty seven, a song about going home.",
    "Seven thirty.",
    "Friends, stay with me: the last train is not here yet and the lamps are still lit along the water.",
    "Toast!",
    "It is eight o'clock and you are listening to Lantern eighty eight point four",
    "up next, something slower…",
    "I used to know a man who painted boats, all of them the same blue, and nobody ever asked him why he did it.",
    "Night owls, this one is yours.",
    "Light rain, clearing later, with a high of fourteen and a low of six.",
    "And then there was the winter the harbour froze.",
    "Dot Calloway, breakfast, until ten.",
    "One more for the road, and it is a long road.",
)


def requests(voices: Path, variant: str = "original", longest: int = 16, count: int = len(TEXTS)) -> list[Request]:
    """The first `GREEDY` greedy, the rest sampled; at most `longest` tokens each."""
    rows = []
    for i, text in enumerate(TEXTS[:count]):
        greedy = i < GREEDY
        sampling: dict[str, Any] = {
            "temperature": 0 if greedy else 0.7 + 0.1 * (i % 3),
            "repetition_penalty": 1 + (i % GREEDY) / (GREEDY - 1),
            "top_p": (1.0, 0.9, 0.6)[i % 3],
            "max_tokens": longest - (5 * i) % (longest // 2 + 1),
            "seed": 100 + i,
        }
        if variant == "turbo":
            sampling |= {"top_k": (1000, 2, 5)[i % 3]}
        else:
            weight = 1.5 * (5 * i % GREEDY) / (GREEDY - 1)
            sampling |= {"min_p": (0.05, 0.0, 0.1)[i % 3], "cfg_weight": weight, "exaggeration": (0.5, 0.2, 1.0)[i % 3]}
        voice = ("ta", "tb") if variant == "turbo" else ("a", "b")
        payload = {"text": text, "voice": str(voices / f"{voice[i % 2]}.pt"), "sampling": resolve(sampling, variant)}
        if variant == "multilingual":
            payload["language"] = ("en", "fr", "de")[i % 3]
        rows.append(Request(f"row {i}", payload))
    return rows


def run(t3, rows: list[Request]) -> dict[str, Any]:
    """Value of each row's output by key, all rows in one batch.

    Raises:
        AssertionError: a row failed.
    """
    outputs: dict[str, Output] = {output.key: output for output in t3.stream(rows)}
    assert not [output.error for output in outputs.values() if output.error]
    return {row.key: outputs[row.key].value for row in rows}


def unlike(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """Keys of rows whose tokens or ending differ."""
    return [key for key in theirs if ours[key] != theirs[key]]
