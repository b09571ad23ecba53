"""What a user gets wrong is said in a line that names place and remedy, with exit code 2, before torch is loaded."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from tests.reliability.conftest import SAMPLE
from tests.reliability.stable import Ended, Stable
from tests.stages.test_station import BAD as BAD_STATIONS

CPU_S, LONGEST_S = 2.0, 20.0  # of the processor; and on the clock, which a busy machine stretches


def assert_refused(ended: Ended, says: str, lines: int | None = 1) -> None:
    """Exit code 2; on stderr `lines` lines (any number for None), one with `says`; nothing heavy, under two seconds."""
    assert ended.code == 2, ended.err + ended.out
    assert "Traceback" not in ended.err + ended.out
    said = ended.err.strip().splitlines()
    assert said and said[0].startswith("voicetrack: ")
    assert any(says in line for line in said), ended.err
    assert lines is None or len(said) == lines, ended.err
    assert all(len(line) < 600 for line in said), ended.err
    assert ended.heavy in ([], ["numpy"]) and ended.cpu_s < CPU_S


# The command line: arguments beside +stage=all, and what the line must say. {tmp} is an empty folder.
CONFIG = {
    "key of no group": ("bogus.key=3", "bogus: no such key"),
    "key misspelt": ("generation.roundz=3", "did you mean 'generation.rounds'?"),
    "top key misspelt": ("sed=3", "did you mean 'seed'?"),
    "key of a value": ("seed.x=3", "seed"),
    "key with a plus that is not known": ("+generation.more=3", "generation.more: no such key"),
    "number as text": ("generation.rounds=three", "generation.rounds: "),
    "number as a fraction": ("generation.candidates=1.5", "generation.candidates: "),
    "number as a list": ("generation.rounds=[1,2]", "generation.rounds"),
    "truth as text": ("retry_errors=perhaps", "retry_errors: "),
    "no such choice": ("checkpoint.on_stale=redo", "checkpoint.on_stale: "),
    "no such format": ("audio.format=ogg", "audio.format: "),
    "group as a number": ("generation=3", "generation"),
    "no such stage": ("+stage=mix", "mix"),
    "no such writer": ("writer=gtp", "gtp"),
    "no such profile": ("profile=big", "big"),
    "no such group": ("+synth=big", "synth"),
    "override without equals sign": ("generation.rounds", "generation.rounds"),
    "override with broken brackets": ("select.djs=[dot", "'[dot'"),
    "interpolation to nowhere": ("writer.model=${nowhere}", "nowhere"),
    "interpolation in a circle": ("seed=${seed}", "ecursive interpolation"),
    "missing resolver": ("writer.model=${gone:x}", "gone"),
    "mandatory value taken away": ("station.path=???", "station.path"),
    "rounds of none": ("generation.rounds=0", "generation.rounds"),
    "candidates of none": ("generation.candidates=0", "generation.candidates"),
    "votes of none": ("audit.votes=0", "audit.votes"),
    "weights of nothing": (
        ("generation.pick.audit=0", "generation.pick.novelty=0", "generation.pick.length=0"),
        "pick",
    ),
    "weight below zero": ("generation.pick.audit=-1", "generation.pick"),
    "retakes below zero": ("audio.retakes=-1", "audio.retakes"),
    "pace of one number": ("audio.seconds_per_word=[1]", "audio.seconds_per_word"),
    "pace upside down": ("audio.seconds_per_word=[2,1]", "audio.seconds_per_word"),
    "loudness of a shout": ("audio.lufs=5", "audio"),
    "peak above full scale": ("audio.true_peak_dbtp=3", "audio"),
    "sample rate of a telephone exchange": ("audio.sample_rate=12", "audio"),
    "programme at no time": ("playlist.start=25:00", "playlist.start"),
    "programme of no hours": ("playlist.hours=0", "playlist.hours"),
    "shards of nothing": ("checkpoint.shard_mib=0", "checkpoint.shard_mib"),
    "shards below nothing": ("checkpoint.shard_mib=-3", "checkpoint.shard_mib"),
    "shards of no number": ("checkpoint.shard_mib=nan", "checkpoint.shard_mib"),
    "several at once": (("generation.rounds=0", "audit.votes=0"), "audit.votes: must be in [1, 1000], is 0"),
    "unknown synthesizer": ("tts=bark", "bark"),
    "synthesizer without a module": ("tts._target_=stages.tts.gone.stages", "tts._target_"),
    "synthesizer of no name": ("tts._target_=x", "tts._target_"),
    "unknown option of the synthesizer": ("tts.vioce=en", "tts.vioce"),
    "stage without a module": ("+stages.x._target_=stages.gone.stages", "stages.gone"),
    "stage without a class": ("+stages.x.other=1", "stages"),
    "unknown DJ": ("select.djs=[marlo]", "did you mean 'marlow'?"),
    "unknown kind": ("select.kinds=[intros]", "did you mean 'intro'?"),
    "unknown song": ("select.songs=[zzz]", "no song 'zzz'"),
    "limit of none": ("select.limit=0", "select.limit"),
    "limit as text": ("select.limit=few", "select.limit"),
    # models and engines
    "model folder missing": ("writer.model=/nowhere/at/all", "writer.model=/nowhere/at/all: no such model folder"),
    "model folder a file": ("writer.model=/etc/passwd", "no such model folder"),
    "model folder empty": ("auditor.model={tmp}", "auditor.model"),
    "model of nothing": ("writer.model=null", "writer.model"),
    "model as empty text": ("writer.model=''", "writer.model"),
    "unknown engine argument": ("writer.engine.max_num_seq=8", "did you mean 'max_num_seqs'?"),
    "unknown engine argument of the auditor": ("auditor.engine.gpu_memory=0.5", "auditor.engine.gpu_memory"),
    "engine argument that is ours": ("writer.engine.model=x", "set writer.model"),
    "engine seed": ("writer.engine.seed=1", "writer.engine.seed"),
    "engine as a list": ("writer.engine=[1]", "writer.engine"),
    "unknown sampling parameter": ("writer.sampling.temprature=1", "did you mean 'temperature'?"),
    "sampling of more than one": ("writer.sampling.n=4", "use generation.candidates"),
    "sampling seed": ("writer.sampling.seed=4", "writer.sampling.seed"),
    "temperature below zero": ("writer.sampling.temperature=-1", "not a number in [0, inf)"),
    "temperature as text": ("writer.sampling.temperature=hot", "writer.sampling.temperature"),
    "temperature no number": ("writer.sampling.temperature=nan", "writer.sampling.temperature"),
    "top_p of zero": ("writer.sampling.top_p=0", "(0, 1]"),
    "top_p above one": ("auditor.sampling.top_p=1.5", "auditor.sampling.top_p"),
    "top_k of a half": ("writer.sampling.top_k=0.5", "writer.sampling.top_k"),
    "min_p above one": ("writer.sampling.min_p=2", "writer.sampling.min_p"),
    "penalty beyond range": ("writer.sampling.presence_penalty=3", "writer.sampling.presence_penalty"),
    "no tokens": ("writer.sampling.max_tokens=0", "writer.sampling.max_tokens"),
    "tokens as a fraction": ("writer.sampling.max_tokens=1.5", "writer.sampling.max_tokens"),
    "truth for a number": ("writer.sampling.top_p=true", "writer.sampling.top_p"),
    # stations
    "station missing": ("station.path={tmp}/gone", "no such folder"),
    "station a file": ("station.path=/etc/passwd", "a file, not a folder"),
    "station empty": ("station.path={tmp}", "station.yaml"),
    "station of nothing": ("station.path=null", "station.path"),
    "station as empty text": ("station.path=''", "station.path"),
}


@pytest.mark.parametrize(("arguments", "says"), CONFIG.values(), ids=CONFIG)
def test_a_wrong_setting_is_one_line_with_its_key(light: Stable, tmp_path, arguments, says):
    arguments = [arguments] if isinstance(arguments, str) else arguments
    given = [a.replace("{tmp}", str(tmp_path)) for a in arguments]
    stage = [] if any(a.startswith("+stage=") for a in given) else ["+stage=all"]
    assert_refused(
        light.run(*stage, *given, timeout=LONGEST_S),
        says,
        None if says == "station.yaml" else len(arguments) if "0" in says else 1,
    )


@pytest.mark.parametrize(("file", "harm", "says"), BAD_STATIONS.values(), ids=BAD_STATIONS)
def test_a_bad_station_stops_the_run_before_it_begins(light: Stable, own_station, file, harm, says):
    path = own_station / file
    path.parent.mkdir(parents=True, exist_ok=True)
    harm(path)
    ended = light.run("+stage=all", f"station.path={own_station}", f"checkpoint.path={own_station.parent}/out")
    assert_refused(ended, says, None)
    assert "station" in ended.err
    assert not list((own_station.parent / "out").rglob("*.jsonl"))


def test_all_bad_rows_of_a_catalog_are_said_together(light: Stable, own_station):
    rows = [{"id": f"s{i}", "title": "T", "artist": "A"} for i in range(40)]
    rows[3].pop("title")
    rows[17]["year"] = "x"
    rows[31]["id"] = "s30"
    (own_station / "catalog.json").write_bytes(orjson.dumps({"songs": rows}))
    ended = light.run("+stage=generate", f"station.path={own_station}")
    assert_refused(ended, "song 4: 'title' is missing", 3)
    assert "song 18: 'year'" in ended.err and "song 32: the id 's30' was used before" in ended.err


def test_a_million_rows_of_which_two_are_bad(light: Stable, own_station):
    good = b'{"id":"s%d","title":"T","artist":"A"}\n'
    rows = [good % i for i in range(1_000_000)]
    rows[12_345], rows[999_999] = b'{"id":"x"\n', b'{"id":"y"}\n'
    (own_station / "catalog.json").unlink()
    (own_station / "catalog.jsonl").write_bytes(b"".join(rows))
    began = time.monotonic()
    ended = light.run("+stage=generate", f"station.path={own_station}", timeout=120)
    assert ended.code == 2 and "catalog.jsonl:12346: not valid JSON" in ended.err, ended.err
    assert "catalog.jsonl:1000000: " in ended.err and time.monotonic() - began < 90


# What is done to the checkpoint's path (given an empty folder); returns the path to run with.


def _file(tmp: Path) -> Path:
    (tmp / "f").write_text("mine")
    return tmp / "f"


def _under_a_file(tmp: Path) -> Path:
    return _file(tmp) / "out"


def _loop(tmp: Path) -> Path:
    (tmp / "a").symlink_to(tmp / "b")
    (tmp / "b").symlink_to(tmp / "a")
    return tmp / "a" / "out"


def _dangling(tmp: Path) -> Path:
    (tmp / "a").symlink_to(tmp / "gone" / "further")
    return tmp / "a"


def _endless(tmp: Path) -> Path:
    return tmp / ("x" * 300)


def _kernel(tmp: Path) -> Path:
    return Path("/proc/voicetrack")


def _run_json(content: bytes) -> Callable[[Path], Path]:
    def make(tmp: Path) -> Path:
        (tmp / "run.json").write_bytes(content)
        return tmp

    return make


def _run_json_folder(tmp: Path) -> Path:
    (tmp / "run.json").mkdir()
    return tmp


def _stage_file(tmp: Path) -> Path:
    (tmp / "generate").write_text("mine")
    return tmp


def _shard_folder(tmp: Path) -> Path:
    (tmp / "generate" / "00000.jsonl").mkdir(parents=True)
    return tmp


def _lock_folder(tmp: Path) -> Path:
    (tmp / "lock").mkdir()
    return tmp


def _log_folder(tmp: Path) -> Path:
    (tmp / "engine.log").mkdir()
    return tmp


PATHS = {
    "a file": (_file, "is a file"),
    "under a file": (_under_a_file, "not a folder"),
    "a circle of links": (_loop, "circle"),
    "a link to nowhere": (_dangling, ""),
    "a name too long": (_endless, "too long"),
    "where nobody may write": (_kernel, "/proc/voicetrack"),
    "run.json broken": (_run_json(b"{"), "run.json: cannot be read"),
    "run.json a list": (_run_json(b"[]"), "run.json"),
    "run.json of a newer version": (_run_json(b'{"format": 99}'), "update voicetrack"),
    "run.json with a wrong format": (_run_json(b'{"format": "one"}'), "run.json"),
    "run.json a folder": (_run_json_folder, "run.json"),
    "a file for a stage": (_stage_file, "generate"),
    "a folder for a shard": (_shard_folder, "00000.jsonl"),
    "a folder for the lock": (_lock_folder, "lock"),
    "a folder for the log": (_log_folder, "engine.log"),
}


@pytest.mark.parametrize(("make", "says"), PATHS.values(), ids=PATHS)
def test_a_checkpoint_that_cannot_be_is_refused(light: Stable, tmp_path, make, says):
    path = make(tmp_path)
    ended = light.run("+stage=all", "select.limit=2", f"checkpoint.path={path}", timeout=LONGEST_S)
    if says == "":
        return  # made where the link points
    assert_refused(ended, says)


def test_the_table_is_as_long_as_promised():
    assert len(CONFIG) + len(BAD_STATIONS) + len(PATHS) >= 160


def test_a_stage_without_its_input_names_what_to_run_first(light: Stable, tmp_path):
    ended = light.run("+stage=audit", f"checkpoint.path={tmp_path}/c")
    assert_refused(ended, "+stage=generate first")


def test_on_request_the_traceback_is_shown(light: Stable, tmp_path):
    ended = light.run("+stage=all", f"station.path={tmp_path}/x", env={"HYDRA_FULL_ERROR": "1"})
    assert ended.code == 2 and "Traceback" in ended.err and "no such folder" in ended.err


def test_the_sample_station_itself_is_in_order(light: Stable, tmp_path):
    path = shutil.copytree(SAMPLE, tmp_path / "s")
    ended = light.run("+stage=all", "dry_run=true", f"station.path={path}", f"checkpoint.path={tmp_path}/c")
    assert ended.code == 0 and "62 to do" in ended.out, ended.err
