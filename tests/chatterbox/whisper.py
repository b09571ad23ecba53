"""A Whisper small enough to load in seconds: random weights, byte-level tokenizer, the real feature extractor."""

from __future__ import annotations

from pathlib import Path

SPECIAL = [
    "<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|de|>", "<|ja|>", "<|translate|>", "<|transcribe|>",
    "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>",
]  # fmt: skip


def write_tiny_whisper(folder: Path, *, seed: int = 0, english_only: bool = False) -> Path:
    """Write a 2-layer random Whisper into `folder`, loadable by vLLM and transformers; nothing comes from a hub.

    Args:
        seed: of the weights.
        english_only: without tokens for languages and tasks, as `whisper-*.en`.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration
    from transformers import WhisperProcessor as Processor
    from transformers import WhisperTokenizerFast as Fast

    special = [s for s in SPECIAL if not (english_only and s in ("<|en|>", "<|de|>", "<|ja|>"))]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    # Never made of text, but heard: enough words that no row is likely to be anything else.
    words = [f"\u0120w{n}" for n in range(2000)]
    vocab = {token: i for i, token in enumerate([*alphabet, *special, *words])}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special)
    end, start = vocab["<|endoftext|>"], vocab["<|startoftranscript|>"]
    ends = dict.fromkeys(("bos_token", "eos_token", "unk_token", "pad_token"), "<|endoftext|>")
    fast = Fast(tokenizer_object=tokenizer, **ends)
    config = WhisperConfig(
        vocab_size=len(vocab), num_mel_bins=80, d_model=64, encoder_layers=2, decoder_layers=2,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=128, decoder_ffn_dim=128,
        max_source_positions=1500, max_target_positions=448, decoder_start_token_id=start, bos_token_id=end,
        eos_token_id=end, pad_token_id=end, suppress_tokens=[], begin_suppress_tokens=[],
    )  # fmt: skip
    torch.manual_seed(seed)
    model = WhisperForConditionalGeneration(config)
    with torch.no_grad():  # so that what is heard changes from place to place and from clip to clip, and is words
        model.model.encoder.conv1.weight.normal_(0, 0.5)
        model.model.encoder.conv2.weight.normal_(0, 0.5)
        decoder = model.model.decoder
        decoder.embed_positions.weight.normal_(0, 0.3)
        decoder.embed_tokens.weight[: len(alphabet) + len(special)] *= 0.1
        for layer in decoder.layers:
            for projection in ("q_proj", "k_proj", "v_proj", "out_proj"):
                getattr(layer.encoder_attn, projection).weight.normal_(0, 0.3)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    if english_only:
        model.generation_config.is_multilingual = False
        model.generation_config._from_model_config = False  # else vLLM would make one of config.json
        model.generation_config.save_pretrained(folder)
    Processor(WhisperFeatureExtractor(feature_size=80), fast).save_pretrained(folder)
    return folder
