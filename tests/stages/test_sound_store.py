"""Where sound files go, by fsspec: whole or not at all."""

from __future__ import annotations

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem

from engine.errors import EngineError, UserError
from stages.sound import store


class Remote(LocalFileSystem):
    """A file system that is no object store and not ours to rename in: as sftp is."""

    protocol = "remote"
    seen: list[str] = []  # names of files while they were written

    def pipe_file(self, path, value, **kwargs):
        self.seen.append(path.rpartition("/")[2])
        if value == b"broken":
            super().pipe_file(path, value[:3])
            raise ConnectionResetError(104, "connection reset by peer")
        super().pipe_file(path, value)


@pytest.fixture
def remote():
    fsspec.register_implementation("remote", Remote, clobber=True)
    Remote.seen.clear()
    return Remote


def test_a_local_folder_is_named_by_path_and_an_object_store_by_url(tmp_path):
    assert store.place(f"file://{tmp_path}/a", "takes/x.flac") == f"{tmp_path}/a/takes/x.flac"
    assert store.place(str(tmp_path), "takes/x.flac") == f"{tmp_path}/takes/x.flac"
    assert store.place("memory://bucket/run/", "takes/x.flac") == "memory://bucket/run/takes/x.flac"


def test_what_is_put_can_be_read(tmp_path):
    for url in (f"file://{tmp_path}", "memory://bucket"):
        where = store.place(url, "takes/dot/x.flac")
        for blob in (b"first", b"second"):
            store.put(where, blob)
            assert store.read(where) == blob


def test_a_file_system_never_shows_a_part_of_a_file(tmp_path, remote):
    where = f"remote://{tmp_path}/takes/x.flac"
    store.put(where, b"first")
    assert (tmp_path / "takes/x.flac").read_bytes() == b"first"
    assert remote.seen[0].startswith(".x.flac.") and remote.seen[0].endswith(".part")
    with pytest.raises(EngineError, match="x.flac.*nothing kept is lost"):
        store.put(where, b"broken")
    assert (tmp_path / "takes/x.flac").read_bytes() == b"first"
    assert [p.name for p in (tmp_path / "takes").iterdir()] == ["x.flac"]


def test_a_store_nobody_knows_is_refused():
    with pytest.raises(UserError, match="output.url=nowhere://x: Protocol not known"):
        store.check("nowhere://x")


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be made"):
        store.put(f"{tmp_path}/file/takes/x.flac", b"blob")
