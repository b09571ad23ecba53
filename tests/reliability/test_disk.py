"""Disks that fill up or turn read-only while a run writes: one line, nothing kept lost, and resume completes."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

import pytest

from tests.reliability.shards import assert_grown, assert_whole, held
from tests.reliability.stable import Ended, Stable

RUN = ("+stage=all", "generation.rounds=1", "select.limit=8", "select.kinds=[time,weather]")


def mounted(folder: Path, options: str) -> bool:
    """Whether a tmpfs could be mounted at `folder` (it takes root)."""
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True).returncode == 0


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 4 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not mounted(folder, "size=4m"):
        pytest.skip("mounting takes root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def assert_one_line(ended: Ended, says: str) -> None:
    said = ended.err.strip().splitlines()
    assert ended.code != 0 and len(said) == 1 and says in said[0], ended.err
    assert "Traceback" not in ended.out + ended.err


@pytest.mark.parametrize(
    ("moment", "leave"),
    [
        ("opening generate", 0),
        ("running generate", 900),
        ("running audit", 900),
        ("running audio", 4096),
        ("finish", 0),
    ],
)
def test_the_disk_fills_up(stable: Stable, small_disk, moment, leave):
    path = small_disk / "c"
    fill = {"mark": moment, "do": "fill", "path": str(small_disk), "leave": leave}
    ended = stable.run(*RUN, f"checkpoint.path={path}", harm=[fill], timeout=400)
    assert_one_line(ended, "no room left on the disk")
    before = held(path)
    (small_disk / "ballast").unlink()
    ended = stable.run(*RUN, f"checkpoint.path={path}", timeout=400)
    assert ended.code == 0, ended.err
    assert_grown(before, assert_whole(path))
    assert len(held(path).records["generate"]) == 8


def test_files_may_grow_no_further(stable: Stable, tmp_path):
    """The limit of `ulimit -f`, for where nothing can be mounted: Hydra's own files run into it, then a shard."""
    ended = stable.run("+stage=generate", f"checkpoint.path={tmp_path}/h", file_limit=1500)
    assert_one_line(ended, "no room left on the disk")
    arguments = ("+stage=generate", "select.limit=40", f"checkpoint.path={tmp_path}/c")
    ended = stable.run(*arguments, file_limit=16_000, timeout=400)
    assert_one_line(ended, "no room left on the disk")
    before = held(tmp_path / "c")
    ended = stable.run(*arguments, timeout=400)
    assert ended.code == 0, ended.err
    assert_grown(before, held(tmp_path / "c"))
    assert len(held(tmp_path / "c").records["generate"]) == 40


def test_a_read_only_disk_is_refused_before_anything_runs(light: Stable, small_disk):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    ended = light.run(*RUN, f"checkpoint.path={small_disk}/c", timeout=30)
    assert_one_line(ended, "read-only")
    assert ended.code == 2 and ended.heavy == []


def test_a_folder_turns_immutable_while_takes_are_written(stable: Stable, tmp_path):
    takes = tmp_path / "c" / "takes"
    takes.mkdir(parents=True)
    if subprocess.run(["chattr", "+i", str(takes)], capture_output=True).returncode:
        pytest.skip("chattr takes root and a file system that knows it")
    try:
        ended = stable.run(*RUN, f"checkpoint.path={tmp_path}/c", timeout=400)
        assert_one_line(ended, "cannot be written")
        before = held(tmp_path / "c")
        assert before.records["audit"] and "audio" not in before.records
    finally:
        with contextlib.suppress(OSError):
            subprocess.run(["chattr", "-i", str(takes)], check=True)
    ended = stable.run(*RUN, f"checkpoint.path={tmp_path}/c", timeout=400)
    assert ended.code == 0, ended.err
    assert_grown(before, assert_whole(tmp_path / "c"))
    assert os.listdir(takes)
