"""How many tokens a prompt has and may have, from a model's own files, without loading the model."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Messages = list[dict[str, str]]


@dataclass(frozen=True)
class Context:
    """What fits an LLM.

    Attributes:
        count: tokens of chat messages as the model gets them.
        most: tokens a prompt may have beside the longest answer; None where the model does not say.
        exact: whether `count` is the model's own tokenizer; else it takes four characters for a token.
    """

    count: Callable[[Messages], int]
    most: int | None
    exact: bool


def context_of(llm: Any) -> Context:
    """The context of a `writer` or `auditor` config, as far as the model's files are on this machine."""
    config = _json(_file(llm, "config.json"))
    longest = llm.engine.get("max_model_len")
    if not isinstance(longest, int):
        longest = (config.get("text_config") or config).get("max_position_embeddings")
    most = longest - llm.sampling.get("max_tokens", 256) if isinstance(longest, int) else None
    tokenizer = _file(llm, "tokenizer.json")
    if tokenizer is None:
        return Context(lambda messages: sum(len(m["content"]) for m in messages) // 4, most, False)
    return Context(_counter(tokenizer, _template(llm)), most, True)


def _counter(path: Path, template: Callable[[Messages], str]) -> Callable[[Messages], int]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    return lambda messages: len(tokenizer.encode(template(messages), add_special_tokens=False).ids)


def _template(llm: Any) -> Callable[[Messages], str]:
    """The model's chat template; the bare contents where it has none that renders here."""
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def bare(messages: Messages) -> str:
        return "\n\n".join(m["content"] for m in messages)

    settings = _json(_file(llm, "tokenizer_config.json"))
    file = _file(llm, "chat_template.jinja")
    source = file.read_text(encoding="utf-8") if file else settings.get("chat_template")
    if isinstance(source, list):  # several by name
        source = next((t["template"] for t in source if t.get("name") == "default"), None)
    if not isinstance(source, str):
        return bare
    # The switches of transformers' apply_chat_template (transformers/utils/chat_template_utils.py).
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )

    def refuse(message: str) -> None:
        raise TemplateError(message)

    environment.globals.update(raise_exception=refuse, strftime_now=lambda form: form)
    special = {name: t["content"] if isinstance(t := settings.get(name) or "", dict) else t for name in _SPECIAL}
    try:
        compiled = environment.from_string(source)
        compiled.render(messages=[{"role": "user", "content": "a"}], add_generation_prompt=True, **special)
    except (TemplateError, TypeError, KeyError):
        return bare
    return lambda messages: compiled.render(messages=messages, add_generation_prompt=True, **special)


_SPECIAL = ("bos_token", "eos_token", "pad_token", "unk_token")


def _file(llm: Any, name: str) -> Path | None:
    """A file of the model: in its folder, or in the hub's cache."""
    folder = Path(llm.model).expanduser()
    if folder.is_dir():
        return folder / name if (folder / name).is_file() else None
    try:
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(llm.model, name, revision=llm.revision)
    except (ImportError, ValueError):  # no hub id
        return None
    return Path(found) if isinstance(found, str) else None


def _json(path: Path | None) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8")) if path else {}
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
