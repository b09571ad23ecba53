"""Shards and checkpoints: what is kept stays, what is torn is cut, what is damaged is set aside."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.checkpoint import Checkpoint
from engine.commit import Committer
from engine.errors import EngineError, UserError
from engine.records import make_record
from engine.shard import scan, seal, unseal


def record(key: str, text: str = "hello", fingerprint: str = "f") -> dict:
    return make_record("generate", key, {"prompt": fingerprint}, output={"script": text})


def fill(path, records, shard_mib: float = 64) -> None:
    checkpoint = Checkpoint(path, shard_mib)
    checkpoint.lock()
    with Committer() as committer:
        for r in records:
            checkpoint.append(committer, "generate", r, lambda: None)
    checkpoint.close()


def scripts(path) -> dict[str, str]:
    shards = Checkpoint(path).stage("generate")
    return {r["key"]: r["output"]["script"] for r in shards.records()}


def test_lines_are_plain_json_with_a_checksum():
    line = seal(record("a", "snowman ☃"))
    assert json.loads(line)["output"]["script"] == "snowman ☃"
    assert unseal(line[:-1])["key"] == "a"


@given(st.integers(0, 10_000), st.integers(0, 7))
def test_any_flipped_bit_is_seen(position, bit):
    line = bytearray(seal(record("a", "some text to flip bits in"))[:-1])
    line[position % len(line)] ^= 1 << bit
    assert unseal(bytes(line)) is None or b"\n" in line


def test_kept_records_come_back(tmp_path):
    fill(tmp_path, [record(f"k{i}", f"text {i}") for i in range(200)])
    assert scripts(tmp_path) == {f"k{i}": f"text {i}" for i in range(200)}


def test_the_newest_record_of_a_key_counts_and_older_ones_stay(tmp_path):
    fill(tmp_path, [record("a", "old"), record("b", "only")])
    fill(tmp_path, [record("a", "new")])
    assert scripts(tmp_path) == {"a": "new", "b": "only"}
    assert (tmp_path / "generate/00000.jsonl").read_bytes().count(b"\n") == 3


def test_shards_rotate_by_size(tmp_path):
    fill(tmp_path, [record(f"k{i}", "x" * 500) for i in range(40)], shard_mib=4 / 1024)
    shards = sorted((tmp_path / "generate").glob("*.jsonl"))
    assert len(shards) > 3
    assert len(scripts(tmp_path)) == 40
    fill(tmp_path, [record("more")], shard_mib=4 / 1024)
    assert len(scripts(tmp_path)) == 41


def test_truncation_at_every_byte_loses_the_torn_line_alone(tmp_path):
    fill(tmp_path, [record(f"k{i}", f"text {i}") for i in range(4)])
    shard = tmp_path / "generate/00000.jsonl"
    whole = shard.read_bytes()
    for size in range(len(whole) + 1):
        shard.write_bytes(whole[:size])
        complete = whole[:size].count(b"\n")
        assert len(scripts(tmp_path)) == complete
        checkpoint = Checkpoint(tmp_path)
        repairs = checkpoint.lock()
        checkpoint.close()
        torn = not whole[:size].endswith(b"\n") and size > 0
        assert bool(repairs) == torn
        assert shard.read_bytes().count(b"\n") == complete and shard.read_bytes()[-1:] in (b"", b"\n")


def test_appending_after_a_torn_line_starts_on_a_line_of_its_own(tmp_path):
    fill(tmp_path, [record("a"), record("b")])
    shard = tmp_path / "generate/00000.jsonl"
    shard.write_bytes(shard.read_bytes()[:-20])
    fill(tmp_path, [record("c")])
    assert set(scripts(tmp_path)) == {"a", "c"}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_anywhere_costs_only_the_lines_it_touches(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damage")
    fill(path, [record(f"k{i}", f"text {i}") for i in range(12)])
    shard = path / "generate/00000.jsonl"
    lines = shard.read_bytes().splitlines(keepends=True)
    hurt = data.draw(st.sets(st.integers(0, 11), max_size=5))
    for i in hurt:
        raw = bytearray(lines[i])
        at = data.draw(st.integers(0, 1_000_000)) % (len(raw) - 1)
        raw[at] ^= data.draw(st.sampled_from([1, 2, 4, 16, 32, 64, 128]))
        if raw[at] == 10:
            raw[at] = 0
        lines[i] = bytes(raw)
    order = data.draw(st.permutations(range(12)))
    repeated = data.draw(st.lists(st.integers(0, 11), max_size=4))
    shard.write_bytes(b"".join(lines[i] for i in [*order, *repeated]))
    assert scripts(path) == {f"k{i}": f"text {i}" for i in range(12) if i not in hurt}
    before = shard.read_bytes()
    checkpoint = Checkpoint(path)
    repairs = checkpoint.lock()
    checkpoint.close()
    assert shard.read_bytes() == before
    assert len(repairs) == sum(i in hurt for i in [*order, *repeated])
    assert all("damaged.jsonl" in line for line in repairs)
    again = Checkpoint(path)
    assert again.lock() == []
    again.close()


def test_foreign_and_empty_files_do_not_hinder(tmp_path):
    fill(tmp_path, [record("a")])
    (tmp_path / "generate/00001.jsonl").write_bytes(b"")
    (tmp_path / "generate/notes.jsonl").write_text("mine")
    (tmp_path / "generate/00002.jsonl").write_bytes(b'\n\n{"key": 3}\nnull\n')
    assert set(scripts(tmp_path)) == {"a"}
    fill(tmp_path, [record("b")])
    assert set(scripts(tmp_path)) == {"a", "b"}


def test_a_newer_format_is_refused_with_the_remedy(tmp_path):
    (tmp_path / "run.json").write_text('{"format": 99}')
    with pytest.raises(UserError, match="format 99.*update voicetrack"):
        Checkpoint(tmp_path)


def test_a_file_for_a_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        Checkpoint(tmp_path / "file")


HOLD = """
import sys, time
from engine.checkpoint import Checkpoint
c = Checkpoint(sys.argv[1]); c.lock()
if len(sys.argv) > 2:
    import os
    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)
print("held", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("forked_child", [False, True], ids=["alone", "with a forked child left behind"])
def test_a_second_writer_is_refused_and_kill_frees_the_lock_at_once(tmp_path, forked_child):
    arguments = [sys.executable, "-c", HOLD, str(tmp_path), *(["fork"] if forked_child else [])]
    holder = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=f"pid {holder.pid} on "):
            Checkpoint(tmp_path).lock()
        holder.kill()
        holder.wait()
        checkpoint = Checkpoint(tmp_path)
        checkpoint.lock()
        checkpoint.close()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(holder.pid, 9)
        holder.wait()


def test_two_jobs_of_one_process_cannot_share_a_checkpoint(tmp_path):
    first = Checkpoint(tmp_path)
    first.lock()
    with pytest.raises(UserError, match="two jobs"):
        Checkpoint(tmp_path).lock()
    first.close()


FULL = """
import resource, signal, sys
from engine.checkpoint import Checkpoint
from engine.commit import Committer
from engine.errors import EngineError
from engine.records import make_record
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
c = Checkpoint(sys.argv[1]); c.lock()
kept = []
try:
    with Committer() as committer:
        for i in range(1000):
            r = make_record("generate", f"k{i}", {"p": "f"}, output={"script": "x" * 100})
            c.append(committer, "generate", r, lambda i=i: kept.append(i))
except EngineError as e:
    print(len(kept), e)
"""


def test_a_full_disk_is_one_clear_line_and_loses_nothing_kept(tmp_path):
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True)
    kept, _, message = done.stdout.partition(" ")
    assert "no room left" in message, done.stderr
    assert len(scripts(tmp_path)) == int(kept) > 5
    assert all(line.record for line in scan(tmp_path / "generate/00000.jsonl"))
    fill(tmp_path, [record("after")])
    assert len(scripts(tmp_path)) == int(kept) + 1


def test_a_read_only_folder_is_refused_with_the_remedy(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    (tmp_path / "ro").mkdir(mode=0o500)
    with pytest.raises(UserError, match="cannot be written.*checkpoint.path"):
        Checkpoint(tmp_path / "ro" / "c").lock()


def test_appending_without_the_lock_is_refused(tmp_path):
    with Committer() as committer, pytest.raises(EngineError, match="lock"):
        Checkpoint(tmp_path).append(committer, "generate", record("a"), lambda: None)


def test_records_are_reported_kept_only_after_their_line_is_on_disk(tmp_path):
    checkpoint = Checkpoint(tmp_path)
    checkpoint.lock()
    seen = []
    shard = tmp_path / "generate/00000.jsonl"
    with Committer() as committer:
        for i in range(50):
            key = f"k{i}"
            checkpoint.append(
                committer, "generate", record(key), lambda k=key: seen.append(f'"{k}"'.encode() in shard.read_bytes())
            )
        committer.flush()
        assert seen == [True] * 50
    checkpoint.close()
