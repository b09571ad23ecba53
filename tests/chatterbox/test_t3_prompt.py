"""Prompts: the same embeddings upstream makes, and what is told beside them."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import RowError, UserError
from stages.tts.chatterbox.t3_checkpoint import open_checkpoint
from stages.tts.chatterbox.t3_header import START_SPEECH, VOCAB, read_header, write_header
from tests.chatterbox import upstream_t3, weights

TEXT = "that was 'Harbour Lights' — by the Night Ferry…"


@given(st.integers(7, 65535), st.floats(0, 10, width=32))
def test_length_and_weight_survive_the_header(length, weight):
    ids = write_header(length, weight)
    assert len(ids) == length and ids[-1] == START_SPEECH
    assert all(START_SPEECH < token < VOCAB for token in ids[:-1])
    assert read_header(ids) == (length, weight)
    assert read_header([*ids, 5, 6561, 17]) == (length, weight)  # a resumed request brings its outputs along


@given(st.lists(st.integers(0, VOCAB + 10), max_size=12))
def test_ids_without_a_header_carry_none(ids):
    found = read_header(ids)
    assert found is None or found[0] <= len(ids)


def test_a_length_that_cannot_be_told_is_refused():
    for length in (0, 6, 1 << 16):
        with pytest.raises(ValueError, match="positions"):
            write_header(length, 0.5)


@pytest.mark.parametrize("variant", ["original", "multilingual"])
def test_both_halves_equal_upstreams_rows(variant, tmp_path, original_t3, t3_voices):
    import torch
    from chatterbox.tts import Conditionals

    from stages.tts.chatterbox.t3_prompt import T3Prompter, load_t3_cond

    folder, language = original_t3, None
    if variant == "multilingual":
        folder, language = weights.write_multilingual(tmp_path, layers=1), "fr"
    t3 = upstream_t3.load(folder, variant)
    ids = upstream_t3.tokenizer(folder, variant)(TEXT, language)
    cond = Conditionals.load(t3_voices / "b.pt").t3
    cond.emotion_adv = 0.9 * torch.ones(1, 1, 1)
    with torch.inference_mode():
        start = torch.full((2, 1), START_SPEECH)
        rows, _ = t3.prepare_input_embeds(
            t3_cond=cond, text_tokens=torch.cat([ids, ids]), speech_tokens=start, cfg_weight=0.5
        )
        bos = t3.speech_emb(start[:1]) + t3.speech_pos_emb.get_fixed_embedding(0)
        rows = torch.cat([rows, bos.repeat(2, 1, 1)], dim=1)

    ours = T3Prompter(open_checkpoint(folder, variant)).prompt(
        TEXT, load_t3_cond(t3_voices / "b.pt"), weight=0.5, exaggeration=0.9, language=language
    )
    wanted, voice = torch.cat([rows[0], rows[1]], dim=-1), 34
    assert torch.equal(ours["prompt_embeds"][voice:], wanted[voice:])
    # Upstream works the voice out for both rows at once, which some processors sum in another order.
    torch.testing.assert_close(ours["prompt_embeds"][:voice], wanted[:voice], rtol=1e-5, atol=1e-5)
    assert not torch.equal(rows[0], rows[1])
    assert read_header(ours["prompt_token_ids"]) == (rows.shape[1], 0.5)
    assert ours["prompt_is_token_ids"] == [False] * rows.shape[1]


def test_a_language_that_is_not_spoken_is_refused(tmp_path, t3_voices):
    from stages.tts.chatterbox.t3_prompt import T3Prompter, load_t3_cond

    prompter = T3Prompter(open_checkpoint(weights.write_multilingual(tmp_path, layers=1), "multilingual"))
    with pytest.raises(RowError, match="language 'tlh' is none of ar, da, de"):
        prompter.prompt("nuqneH", load_t3_cond(t3_voices / "a.pt"), language="tlh")


def test_conditioning_is_kept_for_each_voice_and_exaggeration(original_t3, t3_voices):
    import torch

    from stages.tts.chatterbox.t3_prompt import T3Prompter, load_t3_cond

    prompter = T3Prompter(open_checkpoint(original_t3, "original"))
    a, b = (load_t3_cond(t3_voices / f"{name}.pt") for name in "ab")
    calm = prompter.conditioning(a, 0.2)
    assert prompter.conditioning(a, 0.2) is calm
    excited = prompter.conditioning(a, 1.0)
    assert torch.equal(calm[:-1], excited[:-1]) and not torch.equal(calm[-1], excited[-1])
    assert not torch.equal(calm[:-1], prompter.conditioning(b, 0.2)[:-1])


def test_a_file_that_is_no_voice_is_refused(tmp_path):
    from stages.tts.chatterbox.t3_prompt import load_t3_cond

    with pytest.raises(UserError, match="no such voice"):
        load_t3_cond(tmp_path / "nobody.pt")
    (tmp_path / "noise.pt").write_bytes(b"RIFF" + struct.pack("<I", 4) + b"WAVE")
    with pytest.raises(UserError, match="not a voice file"):
        load_t3_cond(tmp_path / "noise.pt")


def test_slots_keep_pairs_apart_and_give_up_the_oldest(monkeypatch):
    import torch

    from stages.tts.chatterbox import t3_model

    monkeypatch.setattr(t3_model, "SLOTS", 4)
    slots = t3_model.PromptSlots()
    one, two, three = (slots.number(length, 0.5) for length in (40, 41, 42))
    assert len({one, two, three, 0}) == 4
    assert slots.number(40, 0.5) == one  # known, and now the youngest
    assert slots.number(43, 0.25) == two  # 41 was the oldest
    assert (slots.length[[one, two, three]] == torch.tensor([40, 43, 42])).all()
    assert slots.weight[two] == 0.25
