"""What a run has finished, on disk, so that nothing finished is ever done again.

Layout:

    <path>/run.json                 format version, package versions, resolved config of the newest run
    <path>/lock                     held while a run writes; names its holder
    <path>/<stage>/00000.jsonl …    records, append-only, a new file once one exceeds `shard_mib`
    <path>/<stage>/damaged.jsonl    copies of lines that could not be read, with shard and offset

Precedence: of several records with one key, the one appended last counts (a later shard follows an earlier one).
Earlier ones stay where they are. Readers need no lock and may read while a run writes.

Durability: `append` hands a record to a `Committer`, whose thread writes and fsyncs in groups; a record is *kept* once
its group is synced. kill -9 or power loss costs at most what was not kept, and leaves at most one torn line, which
the next writer cuts.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from engine.commit import Committer, fsync_dir, write_atomically
from engine.errors import EngineError, UserError, disk_error
from engine.lock import Lock
from engine.records import ERROR
from engine.shard import scan, seal, unseal, whole_size

FORMAT = 1


class StageShards:
    """The records of one stage: an index in memory, the records themselves read from disk when asked for.

    Args:
        folder: `<checkpoint>/<stage>`; need not exist.
        shard_bytes: size from which a new shard is begun.
    """

    def __init__(self, folder: Path, shard_bytes: int):
        self.folder, self.name, self.shard_bytes = folder, folder.name, shard_bytes
        self._index: dict[str, tuple[str, str, int]] = {}  # key -> (fingerprint, status, shard << 40 | offset)
        self._readers: dict[int, Any] = {}
        self._file: Any = None
        self._number = -1
        self._size = 0
        self.damaged: list[str] = []
        self._load()

    def _load(self) -> None:
        for path in self._shard_paths():
            number = int(path.stem)
            for line in scan(path):
                if line.record is None:
                    self.damaged.append(f"{path}@{line.offset}")
                    continue
                record = line.record
                self._index[record["key"]] = (record["fingerprint"], record["status"], number << 40 | line.offset)
            self._number = number

    def _shard_paths(self) -> list[Path]:
        if not self.folder.is_dir():
            if self.folder.exists():
                raise UserError("is a file, where records are to go", self.folder, "move it away")
            return []
        return sorted(p for p in self.folder.glob("*.jsonl") if p.stem.isdigit())

    def __len__(self) -> int:
        return len(self._index)

    def __contains__(self, key: str) -> bool:
        return key in self._index

    def keys(self) -> list[str]:
        """Keys of all records, in the order they were first kept."""
        return list(self._index)

    def fingerprint(self, key: str) -> str | None:
        """Fingerprint of the newest record of `key`, None where there is none."""
        entry = self._index.get(key)
        return entry[0] if entry else None

    def is_error(self, key: str) -> bool:
        """Whether the newest record of `key` is an error record."""
        entry = self._index.get(key)
        return bool(entry) and entry[1] == ERROR

    def get(self, key: str) -> dict[str, Any] | None:
        """The newest record of `key`, read from its shard.

        Raises:
            EngineError: if the line that was there when the checkpoint was opened is there no more.
        """
        entry = self._index.get(key)
        if entry is None:
            return None
        number, offset = entry[2] >> 40, entry[2] & ((1 << 40) - 1)
        reader = self._readers.get(number)
        if reader is None:
            reader = self._readers[number] = open(self.folder / f"{number:05d}.jsonl", "rb")
        reader.seek(offset)
        record = unseal(reader.readline()[:-1])
        if record is None or record["key"] != key:
            raise EngineError(f"{reader.name}@{offset}: record of {key} changed on disk while the run was going on")
        return record

    def records(self) -> Iterator[dict[str, Any]]:
        """The newest record of every key."""
        for key in self.keys():
            record = self.get(key)
            if record is not None:
                yield record

    # Writing: only from the committer's thread, and only under the checkpoint's lock.

    def prepare(self) -> list[str]:
        """Make the newest shard fit to append to: cut a torn tail, set damaged lines aside.

        Returns:
            A line for each repair made now (none if there was nothing new to repair).
        """
        repairs = []
        paths = self._shard_paths()
        for path in paths:
            whole = whole_size(path)
            if (torn := path.stat().st_size - whole) > 0:
                with open(path, "r+b") as file:
                    file.truncate(whole)
                    os.fsync(file.fileno())
                repairs.append(f"{path}: cut a torn last line of {torn} bytes; its request runs again")
        repairs += self._set_damaged_aside()
        if paths:
            self._number, self._size = int(paths[-1].stem), paths[-1].stat().st_size
        return repairs

    def _set_damaged_aside(self) -> list[str]:
        aside = self.folder / "damaged.jsonl"
        known = set()
        if aside.exists():
            for raw in aside.read_bytes().splitlines():
                try:
                    known.add(orjson.loads(raw)["at"])
                except (ValueError, TypeError, KeyError):
                    continue  # torn by a crash while setting aside; the line is simply copied again
        new = [at for at in self.damaged if at not in known]
        for at in new:
            path, _, offset = at.rpartition("@")
            with open(path, "rb") as shard, open(aside, "ab") as file:
                shard.seek(int(offset))
                raw = shard.readline().rstrip(b"\n")
                file.write(orjson.dumps({"at": at, "bytes": base64.b64encode(raw).decode()}) + b"\n")
                file.flush()
                os.fsync(file.fileno())
        return [f"{at}: damaged line copied to {aside}; its request runs again" for at in new]

    def write(self, record: dict[str, Any]) -> Any:
        """Append `record` to the newest shard without syncing it.

        Returns:
            The open file, for the committer to sync.
        """
        line = seal(record)
        if self._file is None or self._size >= self.shard_bytes:
            self._begin_shard()
        try:
            written = 0
            while written < len(line):
                written += os.write(self._file.fileno(), line[written:])
        except OSError:
            # A part of the line may be there: take it back, so that the file ends with a whole record.
            os.ftruncate(self._file.fileno(), self._size)
            raise
        self._index[record["key"]] = (record["fingerprint"], record["status"], self._number << 40 | self._size)
        self._size += len(line)
        return self._file

    def _begin_shard(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        rotate = self._file is not None or self._number < 0 or self._size >= self.shard_bytes
        if self._file is not None:
            os.fsync(self._file.fileno())
            self._file.close()
        if rotate:
            self._number, self._size = self._number + 1, 0
        self._file = open(self.folder / f"{self._number:05d}.jsonl", "ab", buffering=0)
        fsync_dir(self.folder)
        fsync_dir(self.folder.parent)

    def close(self) -> None:
        """Close all files."""
        for file in [*self._readers.values(), *([self._file] if self._file else [])]:
            file.close()
        self._readers, self._file = {}, None


class Checkpoint:
    """All stages' records of one job.

    Args:
        path: the checkpoint's folder; made by `lock()` where it is missing.
        shard_mib: size of a shard before the next is begun.

    Raises:
        UserError: `path` is a file, or was written by a newer version.
    """

    def __init__(self, path: str | os.PathLike[str], shard_mib: float = 64):
        self.path = Path(path).absolute()
        self.shard_bytes = int(shard_mib * 2**20)
        self._stages: dict[str, StageShards] = {}
        self._lock: Lock | None = None
        if self.path.exists() and not self.path.is_dir():
            raise UserError("is a file, not a checkpoint folder", self.path, "name a folder in checkpoint.path")
        self.run_info = self._read_run_info()

    def _read_run_info(self) -> dict[str, Any]:
        try:
            info = orjson.loads((self.path / "run.json").read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as e:
            raise UserError(
                f"cannot be read ({e})", self.path / "run.json", "delete it: records are kept in the shards"
            ) from e
        found = info.get("format", FORMAT) if isinstance(info, dict) else None
        if not isinstance(found, int):
            raise UserError(
                "is not what voicetrack writes", self.path / "run.json", "delete it: records are kept in the shards"
            )
        if found > FORMAT:
            raise UserError(
                f"has format {found}, this version reads up to {FORMAT}", self.path / "run.json", "update voicetrack"
            )
        return info

    def lock(self) -> list[str]:
        """Become the one writer: take the lock, then mend what a killed writer left.

        Returns:
            A line for each repair.

        Raises:
            UserError: another process holds it, or the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = Lock(self.path / "lock")
            self._lock.acquire()
            for left in self.path.rglob(".*.part"):  # of files that a killed run was putting in place
                left.unlink(missing_ok=True)
            repairs = []
            for folder in sorted(p for p in self.path.iterdir() if p.is_dir() and any(p.glob("[0-9]*.jsonl"))):
                repairs += self.stage(folder.name).prepare()
            return repairs
        except OSError as e:
            raise disk_error(e, e.filename or self.path) from e

    def stage(self, name: str) -> StageShards:
        """The records of stage `name`, empty where it has not run."""
        if name not in self._stages:
            self._stages[name] = StageShards(self.path / name, self.shard_bytes)
        return self._stages[name]

    def write_run_info(self, info: dict[str, Any]) -> None:
        """Replace run.json."""
        self.run_info = {"format": FORMAT, **info}
        self.write_file("run.json", orjson.dumps(self.run_info, option=orjson.OPT_INDENT_2))

    def write_file(self, name: str, content: bytes) -> Path:
        """Put a whole file into the checkpoint atomically: afterwards it is there complete, or as it was."""
        path = self.path / name
        try:
            write_atomically(path, content)
        except OSError as e:
            raise disk_error(e, path) from e
        return path

    def append(self, committer: Committer, stage: str, record: dict[str, Any], kept: Callable[[], None]) -> None:
        """Queue `record` for the shards of `stage`; `kept` is called (in the committer's thread) once it is synced.

        Raises:
            EngineError: an earlier record could not be written (disk full, read-only, gone).
        """
        if self._lock is None:
            raise EngineError(f"{self.path}: append without holding the checkpoint's lock")
        committer.put(self.stage(stage), record, kept)

    def close(self) -> None:
        """Close files and give the lock back."""
        for stage in self._stages.values():
            stage.close()
        if self._lock:
            self._lock.release()
            self._lock = None
