"""Where sound files go when not into the checkpoint: a shared folder, or an object store, through fsspec.

A file is there whole or not at all: written under another name and moved on file systems, in one PUT on object stores.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from engine.errors import EngineError, UserError, disk_error
from stages.sound.disk import save

# By fsspec's names. Only what has been put whole can be read from these; and there, moving is copying.
OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oci", "oss", "obs", "tos", "memory"})


def check(url: str) -> None:
    """Raises: UserError where fsspec does not know `url`, or lacks a package for it."""
    try:
        _open(url)
    except ImportError as e:
        raise UserError(str(e).rstrip("."), f"output.url={url}", "it is a package of its own") from e
    except (ValueError, OSError) as e:
        raise UserError(str(e), f"output.url={url}", "file://, s3://, gs:// or another that fsspec knows") from e


def place(url: str, name: str) -> str:
    """Where file `name` goes under `url`: a URL, of a local or shared folder the absolute path."""
    fs, root = _open(url)
    if _is_local(fs):
        return str(Path(root) / name)
    return f"{url.rstrip('/')}/{name}"


def put(where: str, blob: bytes) -> None:
    """Write `blob` to what `place` gave.

    Raises:
        VoicetrackError: it cannot be written, one line.
    """
    fs, path = _open(where)
    try:
        if _is_local(fs):
            save(Path(path), blob)
        elif _protocol(fs) in OBJECT_STORES:
            fs.pipe_file(path, blob)
        else:
            _move_in(fs, path, blob)
    except OSError as e:
        if e.errno is not None:
            raise disk_error(e, where) from e
        raise EngineError(f"{where}: {e or type(e).__name__}; resume once it is mended, nothing kept is lost") from e
    except Exception as e:  # every store's library has errors of its own
        said = " ".join(str(e).split())[:300] or type(e).__name__
        raise EngineError(f"{where}: {said}; resume once it is mended, nothing kept is lost") from e


def _move_in(fs: Any, path: str, blob: bytes) -> None:
    folder, _, name = path.rpartition("/")
    temporary = f"{folder}/.{name}.{uuid.uuid4().hex}.part"
    fs.makedirs(folder, exist_ok=True)
    try:
        fs.pipe_file(temporary, blob)
        fs.mv(temporary, path)
    except BaseException:
        if fs.exists(temporary):
            fs.rm(temporary)
        raise


def read(where: str) -> bytes:
    """The bytes of a file at a URL or path.

    Raises:
        OSError: it is not there.
    """
    fs, path = _open(where)
    return fs.cat_file(path)


def _open(url: str) -> tuple[Any, str]:
    from fsspec.core import url_to_fs

    return url_to_fs(url)


def _protocol(fs: Any) -> str:
    return fs.protocol if isinstance(fs.protocol, str) else fs.protocol[0]


def _is_local(fs: Any) -> bool:
    return _protocol(fs) in ("file", "local")
