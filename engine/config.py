"""The schema behind `conf/`: every key, its type and its default.

Registered with Hydra as `schema`, which `conf/config.yaml` builds on, so that a wrong key or type is refused before
anything runs. What a group's choices put in (`conf/writer/*.yaml`, …) is checked against the classes here; engine
arguments and sampling parameters are open dictionaries, checked by name against the installed vLLM
(`engine.vllm_args`).
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any, Dict, List, Optional

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, OmegaConf


class OnStale(Enum):
    """What to do with records whose inputs have changed."""

    rerun = "rerun"
    keep = "keep"
    error = "error"


class AudioFormat(Enum):
    """File formats of takes."""

    wav = "wav"
    flac = "flac"
    mp3 = "mp3"
    opus = "opus"


@dataclass
class LlmConfig:
    """An LLM and how it samples: groups `writer` and `auditor`."""

    model: str = MISSING  # folder or hub id
    revision: Optional[str] = None
    engine: Dict[str, Any] = field(default_factory=dict)  # further arguments of vllm.LLM
    sampling: Dict[str, Any] = field(default_factory=dict)  # of vllm.SamplingParams
    env: Dict[str, str] = field(default_factory=dict)  # environment variables for vLLM


class Weather(Enum):
    """Where forecasts come from."""

    file = "file"  # the station's forecast.json
    open_meteo = "open_meteo"  # fetched once, then kept in the checkpoint


@dataclass
class StationConfig:
    """Where the station's folder is: group `station`."""

    path: str = MISSING
    music: Optional[str] = None  # +stage=import makes `path` from it: a folder of music, a table, an earlier catalog
    template: str = "${packaged:sample_station}"  # whose DJs and kinds an imported station begins with
    name: Optional[str] = None  # of an imported station
    weather: Weather = Weather.file
    latitude: Optional[float] = None  # for open_meteo
    longitude: Optional[float] = None
    weather_url: str = "https://api.open-meteo.com/v1/forecast"


@dataclass
class SelectConfig:
    """Which links of the station; empty means all."""

    djs: Optional[List[str]] = None
    kinds: Optional[List[str]] = None
    songs: Optional[List[str]] = None
    limit: Optional[int] = None  # at most so many, spread over DJs and kinds
    seed: Optional[int] = None  # draw them at random, always the same for the same seed


@dataclass
class PickWeights:
    """What makes one passing candidate better than another; see stages.verdict.choose."""

    audit: float = 0.7
    novelty: float = 0.2
    length: float = 0.1


@dataclass
class GenerationConfig:
    """How scripts are written."""

    candidates: int = 1  # scripts per link and round, in one batch
    rounds: int = 3  # first writing included
    picks: Optional[str] = None  # YAML file of candidates chosen by hand: link key -> candidate key
    pick: PickWeights = field(default_factory=PickWeights)


@dataclass
class AuditConfig:
    """How scripts are audited."""

    votes: int = 1  # verdicts per script, merged by median
    names_from_catalog: bool = True  # refuse scripts that name another song or artist of the catalog
    scripts: Optional[str] = None  # audit scripts written elsewhere: a folder of text files, a JSONL or CSV file


@dataclass
class CalibrateConfig:
    """What `+stage=calibrate` holds the auditor against."""

    labels: Optional[str] = None  # CSV or JSONL: link, script, label (pass or fail), by people


@dataclass
class AsrConfig:
    """A Whisper that listens to every take; none does while `model` is null. See stages.asr."""

    model: Optional[str] = None  # folder or hub id, e.g. openai/whisper-small
    revision: Optional[str] = None
    max_wer: float = 0.3  # word error rate against the script above which a take went wrong
    language: Optional[str] = None  # of all takes; null: each DJ's own
    engine: Dict[str, Any] = field(default_factory=dict)  # further arguments of vllm.LLM
    sampling: Dict[str, Any] = field(default_factory=dict)  # of vllm.SamplingParams
    env: Dict[str, str] = field(default_factory=dict)  # environment variables for vLLM


@dataclass
class AudioConfig:
    """What takes become; loudness by ITU-R BS.1770."""

    format: AudioFormat = AudioFormat.flac
    sample_rate: Optional[int] = None  # Hz; null keeps the synthesizer's own
    lufs: float = -18.0  # integrated loudness target
    true_peak_dbtp: float = -1.0
    checks: bool = True  # false airs whatever the synthesizer says, unless it is no sound at all
    retakes: int = 2  # with another seed, when a take fails its checks
    seconds_per_word: List[float] = field(default_factory=lambda: [0.2, 1.2])  # plausible pace of a take
    asr: AsrConfig = field(default_factory=AsrConfig)


@dataclass
class CheckpointConfig:
    """Where finished rows are kept, and what counts as finished."""

    path: Optional[str] = None  # null: Hydra's run folder
    shard_mib: float = 64.0
    on_stale: OnStale = OnStale.rerun


@dataclass
class OutputConfig:
    """Where the sound files go."""

    url: Optional[str] = None  # file://, s3://, gs://, … by fsspec, written by the workers; null: the checkpoint


@dataclass
class PlaylistConfig:
    """The programme made for each DJ."""

    start: Optional[str] = None  # HH:MM; null: at the clock of a link, the one that lets most others be placed
    hours: Optional[float] = None  # the songs come round again until it is this long; null plays them once


@dataclass
class ClusterConfig:
    """Where engines run: group `cluster`; see engine.cluster.shape and docs/scaling.md."""

    _target_: str = "engine.cluster.local.Local"
    address: Optional[str] = None  # of a Ray cluster; null: RAY_ADDRESS, else one started for the run
    workers: int = 1  # engines at a time
    cpus_per_worker: float = 1.0
    gpus_per_worker: Optional[float] = None  # null: 1 where the cluster has GPUs
    resources: Dict[str, float] = field(default_factory=dict)  # custom resources of Ray a worker holds
    rows_per_task: int = 16  # rows that travel, and are kept, together
    rows_per_worker: int = 512  # rows at a worker at any time: twice its engine's max_num_seqs
    patience_s: float = 600.0  # for the first worker to find its place
    per_stage: Dict[str, Any] = field(default_factory=dict)  # any of the last seven for one stage
    init: Dict[str, Any] = field(default_factory=dict)  # further arguments of ray.init


@dataclass
class ReviewConfig:
    """Where +stage=review serves its page."""

    host: str = "127.0.0.1"  # another address needs a password
    port: int = 8844  # 0 takes any free one
    password_env: str = "VOICETRACK_PASSWORD"  # environment variable that holds the password
    against: Optional[str] = None  # another checkpoint, to compare with blind


@dataclass
class Config:
    """The whole config tree."""

    stages: Dict[str, Any] = field(default_factory=dict)
    station: StationConfig = field(default_factory=StationConfig)
    writer: LlmConfig = field(default_factory=LlmConfig)
    auditor: LlmConfig = field(default_factory=LlmConfig)
    tts: Dict[str, Any] = field(default_factory=dict)
    select: SelectConfig = field(default_factory=SelectConfig)
    generation: GenerationConfig = field(default_factory=GenerationConfig)
    audit: AuditConfig = field(default_factory=AuditConfig)
    calibrate: CalibrateConfig = field(default_factory=CalibrateConfig)
    audio: AudioConfig = field(default_factory=AudioConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    output: OutputConfig = field(default_factory=OutputConfig)
    playlist: PlaylistConfig = field(default_factory=PlaylistConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)
    review: ReviewConfig = field(default_factory=ReviewConfig)
    seed: int = 0  # every row's seed is derived from it and the row's key
    retry_errors: bool = False
    dry_run: bool = False
    quiet: bool = False
    objective: str = "pass_rate"  # figure of the summary that `main` returns to a sweeper


LLMS = ("writer", "auditor", "audio.asr")  # where the config names a model for vLLM
# Open dictionaries of the schema: a key may be added there without Hydra's leading plus sign.
OPEN = (
    *(f"{llm}.{part}" for llm in LLMS for part in ("engine", "sampling", "env")),
    "tts",
    "cluster.resources",
    "cluster.per_stage",
    "cluster.init",
)


def packaged(name: str) -> str:
    """Absolute path of something in the `data` folder that ships with voicetrack."""
    spec = importlib.util.find_spec("data")
    folders = list(spec.submodule_search_locations or []) if spec else []
    for folder in folders:
        if (path := Path(folder) / name).exists():
            return str(path)
    return str(Path(folders[0] if folders else "data") / name)


def run_dir(path: str | None) -> str:
    """Folder of a plain run: the checkpoint's, or a new dated one."""
    return path or datetime.now().strftime("outputs/%Y-%m-%d/%H-%M-%S")


def _point_name(overrides: str) -> str:
    from engine.sweep import point_name

    return point_name(overrides)


def register() -> None:
    """Make the schema and the resolvers `${packaged:}`, `${run_dir:}` and `${point_name:}` known; may be repeated."""
    OmegaConf.register_new_resolver("packaged", packaged, replace=True, use_cache=True)
    OmegaConf.register_new_resolver("run_dir", run_dir, replace=True, use_cache=True)
    OmegaConf.register_new_resolver("point_name", _point_name, replace=True)
    ConfigStore.instance().store(name="schema", node=Config)


register()
