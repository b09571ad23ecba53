"""What can go wrong, by who can mend it.

* `UserError`  the user's input or config: one line, exit code 2.
* `EngineError`  ours or the machine's: one line, exit code 1.
* `RowError`  one request only: becomes an error record, its neighbours go on.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from pathlib import Path


class VoicetrackError(Exception):
    """Base of all errors whose message is fit to show as it is."""

    exit_code = 1


class UserError(VoicetrackError):
    """Input or configuration the user can correct.

    Args:
        problem: what is wrong, one line.
        where: file, `file:line`, key or config path it is wrong at.
        fix: what to do about it.
    """

    exit_code = 2

    def __init__(self, problem: str, where: str = "", fix: str = ""):
        self.problem, self.where, self.fix = problem, str(where), fix
        head = f"{self.where}: {problem}" if where else problem
        super().__init__(f"{head} ({fix})" if fix else head)

    @classmethod
    def of_many(cls, errors: Iterable[UserError]) -> UserError:
        """Join several errors into one whose message has a line for each, so that bad rows are reported together.

        Raises:
            ValueError: if `errors` is empty.
        """
        errors = list(errors)
        if not errors:
            raise ValueError("of_many needs at least one error")
        if len(errors) == 1:
            return errors[0]
        joined = cls("")
        joined.args = ("\n".join(str(e) for e in errors),)
        return joined


class EngineError(VoicetrackError):
    """An engine, a disk or the machine failed; nothing kept is lost and the run can be resumed."""


class EngineDied(EngineError):
    """The engine's process is gone; the requests named in `in_flight` have no output.

    Args:
        message: what is known of the cause.
        in_flight: keys of the requests that were submitted and not answered.
    """

    def __init__(self, message: str, in_flight: Iterable[str] = ()):
        super().__init__(message)
        self.in_flight = tuple(in_flight)


class RowError(Exception):
    """One request cannot give a result.

    Args:
        kind: short stable slug such as `prompt_too_long`, counted in the summary.
        message: the cause, one line.
        detail: small JSON-able facts worth keeping in the error record.
    """

    def __init__(self, kind: str, message: str, **detail):
        super().__init__(message)
        self.kind, self.message, self.detail = kind, message, detail

    def to_dict(self) -> dict:
        """The form an error record stores: `{"kind", "message", **detail}`."""
        return {"kind": self.kind, "message": self.message, **self.detail}


NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_BAD_PATHS = {
    errno.EACCES: "cannot be written",
    errno.EPERM: "cannot be written",
    errno.EROFS: "cannot be written: the file system is read-only",
    errno.ENOENT: "cannot be made: a part of the path is not there",
    errno.EEXIST: "is a file, not a folder",
    errno.ENOTDIR: "cannot be made: a part of the path is a file, not a folder",
    errno.EISDIR: "is a folder, not a file",
    errno.ELOOP: "the symbolic links go in a circle",
    errno.ENAMETOOLONG: "the path is too long",
}


def disk_error(error: OSError, path: Path | str) -> VoicetrackError:
    """What to tell the user of an operating system error at `path`."""
    if error.errno in NO_ROOM:
        return EngineError(f"{path}: no room left on the disk; free some and resume, nothing kept is lost")
    if (problem := _BAD_PATHS.get(error.errno)) is not None:
        return UserError(problem, path, "mend it, or choose a writable folder with checkpoint.path=DIR")
    return EngineError(f"{path}: {error.strerror or error}; resume once it is mended, nothing kept is lost")
