"""How to open an LLM: what decides whether two runs ask the same model, and whether they may share one engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.records import digest

if TYPE_CHECKING:
    from engine.session import LlmSession


@dataclass(frozen=True)
class LlmSpec:
    """How to open an LLM.

    Attributes:
        model: folder or hub id, as `vllm.LLM(model=…)`.
        revision: hub revision, None for the default.
        engine: further arguments of `vllm.LLM`.
        env: environment variables vLLM reads (`VLLM_…`), set before it is imported.
    """

    model: str
    revision: str | None = None
    engine: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)

    def identity(self) -> Mapping[str, Any]:
        """Model, revision and what changes its numbers; a local folder by its content, wherever it lies."""
        numeric = ("dtype", "quantization", "hf_overrides", "load_format", "tokenizer", "chat_template")
        kept = {name: self.engine[name] for name in numeric if name in self.engine}
        return {"model": [_folder_state(self.model) or self.model, self.revision, kept]}

    def group(self) -> str:
        """Equal for specs whose requests may share one engine."""
        return digest([self.model, self.revision, dict(self.engine), dict(self.env)])

    def open(self) -> LlmSession:
        """A session, not yet entered."""
        from engine.session import LlmSession

        return LlmSession(self)


def _folder_state(model: str) -> list[Any] | None:
    """Names and sizes of a local model's files: a retrained model in the same folder is another model."""
    folder = Path(model)
    if not folder.is_dir():
        return None
    config = folder / "config.json"
    hashed = digest(config.read_text(errors="replace")) if config.is_file() else ""
    weights = sorted((p.name, p.stat().st_size, _tail_hash(p)) for p in folder.glob("*.safetensors"))
    return [hashed, weights]


def _tail_hash(path: Path, size: int = 1 << 16) -> str:
    """Hash of a file's first and last `size` bytes: enough to tell two trainings apart without reading gigabytes."""
    with open(path, "rb") as file:
        head = file.read(size)
        file.seek(max(0, path.stat().st_size - size))
        return digest([head.hex(), file.read(size).hex()], 4)
