"""What a folded T3 prompt says beside its embeddings: its length and its guidance weight, in six placeholder token ids.

vLLM hands a model's M-RoPE hook the token ids of each admitted prompt and nothing else of the request. Where the
prompt is given as embeddings those ids are placeholders, so they are free to carry bytes: `PLACEHOLDERS` ids above the
speech vocabulary, one for each value of a byte, never sampled because the model gives them a logit of -inf.

    position   0 … 3                       4, 5               6 …           last
    id         bytes of w (fp32, little)   bytes of length    placeholder   START_SPEECH

The last id is the real start token: vLLM's repetition penalty counts the prompt's ids, upstream's counts the start.
"""

from __future__ import annotations

import struct

START_SPEECH, STOP_SPEECH = 6561, 6562
"""Speech tokens proper are below START_SPEECH (upstream `T3Config`)."""
SPEECH_VOCAB = 8194
PLACEHOLDERS = 256
VOCAB = SPEECH_VOCAB + PLACEHOLDERS
HEADER = struct.Struct("<fH")


def write_header(length: int, weight: float) -> list[int]:
    """Ids of a prompt of `length` positions guided by `weight`.

    Raises:
        ValueError: if `length` cannot be told in two bytes or holds no header.
    """
    if not HEADER.size < length < 1 << 16:
        raise ValueError(f"a folded prompt has {HEADER.size + 1} to {(1 << 16) - 1} positions, not {length}")
    head = [SPEECH_VOCAB + byte for byte in HEADER.pack(weight, length)]
    return head + [SPEECH_VOCAB] * (length - HEADER.size - 1) + [START_SPEECH]


def read_header(ids: list[int]) -> tuple[int, float] | None:
    """`(length, weight)` of the prompt whose ids these are; None for ids that carry no header (an engine's warm-up).

    Outputs may have been appended to the ids (a resumed request): the header still tells the prompt's own length.
    """
    head = [token - SPEECH_VOCAB for token in ids[: HEADER.size]]
    if len(head) < HEADER.size or not all(0 <= byte < PLACEHOLDERS for byte in head):
        return None
    weight, length = HEADER.unpack(bytes(head))
    return (length, weight) if length <= len(ids) else None
