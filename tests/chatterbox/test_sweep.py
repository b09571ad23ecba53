"""A sweep over how Chatterbox speaks, as a user runs it: scripts are written once, T3 and S3Gen opened once."""

from __future__ import annotations

from omegaconf import OmegaConf

from tests.test_run import engine, shards
from tests.test_sweep import scripts


def test_guidance_and_exaggeration_are_swept_on_one_speech_model(original_folder, tmp_path):
    done = engine(
        "-m", "+stage=[generate,audit,audio]", "select.kinds=[time]", "select.limit=1", "tts=chatterbox",
        f"tts.checkpoint={original_folder}", f"tts.cache={tmp_path / 'cache'}", "tts.engine={}",
        "tts.vocoder={steps: 2}", "tts.sampling.max_tokens=20", "tts.env.VLLM_ENABLE_V1_MULTIPROCESSING=0",
        "tts.env.VLLM_CPU_KVCACHE_SPACE=1", "audio.checks=false", "tts.sampling.cfg_weight=0.0,0.7",
        "tts.sampling.exaggeration=0.3,0.9", f"hydra.sweep.dir={tmp_path / 'sweep'}", timeout=580,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    points = [folder for folder in (tmp_path / "sweep").iterdir() if folder.is_dir()]
    swept = [OmegaConf.load(folder / ".hydra/config.yaml").tts.sampling for folder in points]
    asked = {(sampling.cfg_weight, sampling.exaggeration) for sampling in swept}
    assert asked == {(0.0, 0.3), (0.0, 0.9), (0.7, 0.3), (0.7, 0.9)} and len(points) == 4
    assert len({next(iter(scripts(folder).values())) for folder in points}) == 1
    spoken = [next(iter(shards(folder, "tokens").values())) for folder in points]
    assert len({record["fingerprint"] for record in spoken}) == 4
    # Random weights hardly heed exaggeration; guidance they do.
    assert len({tuple(record["output"]["tokens"]) for record in spoken}) >= 2
    for folder in points:
        (take,) = shards(folder, "audio").values()
        assert (folder / take["output"]["file"]).stat().st_size > 1000
        timings = {r["output"]["stage"]: r["output"] for r in shards(folder, "timings").values()}
        assert all(timings[stage]["shared_by"] == 4 and timings[stage]["engines"] == 1 for stage in ("tokens", "audio"))
