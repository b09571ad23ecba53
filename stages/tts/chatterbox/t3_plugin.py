"""Tells vLLM about the Chatterbox models.

`register` is the project's `vllm.general_plugins` entry point: vLLM calls it in every engine process.
"""

from __future__ import annotations

MODELS = {
    "VoicetrackT3": "stages.tts.chatterbox.t3_model:T3ForSpeech",
    "VoicetrackT3Turbo": "stages.tts.chatterbox.t3_turbo_model:T3TurboForSpeech",
}


def register() -> None:
    """Register the models by name; called once per process, or oftener, without harm. Imports no model code."""
    from vllm import ModelRegistry

    known = ModelRegistry.get_supported_archs()
    for name, where in MODELS.items():
        if name not in known:
            ModelRegistry.register_model(name, where)
