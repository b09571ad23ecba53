"""The stage that stays until it is stopped: a web server on the checkpoint, which it holds the lock of."""

from __future__ import annotations

import ipaddress
import os
import secrets
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from engine.config import Config
from engine.errors import UserError
from engine.job import Job
from engine.stage import FinishingStage, Stage
from stages.desk import Desk


def stages(job: Job) -> list[Stage]:
    """The stage, as `conf/stage/review.yaml` names it.

    Raises:
        UserError: it would listen to others without a password, or could not say where it listens.
    """
    return [Review(job)]


class Review(FinishingStage):
    """Asks for nothing; at the end it serves until Ctrl-C. What is decided is kept at once."""

    name = "review"
    needs = ("generate",)

    def __init__(self, job: Job):
        config = job.config.review
        self.host, self.port = config.host, config.port
        self.password = os.environ.get(config.password_env, "")
        if not is_loopback(self.host) and not self.password:
            raise UserError(
                "would let anybody on the network decide",
                f"review.host={self.host}",
                f"set a password in the environment variable {config.password_env}, or leave the host at 127.0.0.1",
            )
        if job.config.quiet:
            raise UserError("the address to open could not be printed", "quiet=true", "leave it out with +stage=review")
        job.config = as_made(job.config, job.checkpoint.run_info.get("config"))
        super().__init__(job)
        self.desk = Desk.of(job)
        self.against = open_other(config.against, job) if config.against else None
        # Taken now: while a run goes on, the terminal's file descriptor leads to a log (see engine.chatter).
        self._terminal = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8", errors="replace")

    def finish(self) -> None:
        """Serve until the user stops it.

        Raises:
            UserError: the address is in use or not this machine's.
        """
        import uvicorn

        from engine.commit import Committer
        from stages.review.app import make_app
        from stages.review.book import Book

        listener = listen(self.host, self.port)
        port = listener.getsockname()[1]
        token = secrets.token_urlsafe(18)
        with Committer() as committer:
            book = Book(self.desk, committer, self.against)
            app = make_app(book, token, self.host, port, self.password)
            # The address has the token: it must not be in a log.
            settings = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", server_header=False)
            _announced(settings, lambda: self._announce(port, token)).run(sockets=[listener])
        made = book.made
        print(f"{made} decision{'' if made == 1 else 's'} kept; +stage=all applies them.", file=self._terminal)

    def _announce(self, port: int, token: str) -> None:
        host = f"[{self.host}]" if ":" in self.host else self.host
        print(f"Review at http://{host}:{port}/{token}/", file=self._terminal)
        print("Ctrl-C ends it; decisions are kept as they are made.", file=self._terminal)


def _announced(settings: Any, started: Callable[[], None]) -> Any:
    """A server that calls `started` once it answers, and stops on Ctrl-C."""
    import uvicorn

    class Announced(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            started()

    return Announced(settings)


def is_loopback(host: str) -> bool:
    """Whether `host` can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any free one.

    Raises:
        UserError: the address is in use or not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as e:
        listener.close()
        raise UserError(
            f"cannot listen there ({e.strerror or e})",
            f"review.host={host} review.port={port}",
            "review.port=0 takes any",
        ) from e
    return listener


def as_made(config: Any, made: Any) -> Any:
    """`config` with the parts that decide what the checkpoint's records mean as they were when it was made.

    The station only where its folder is still there: it may have been moved, and named anew.
    """
    if not made:
        return config
    parts = {name: made[name] for name in ("generation", "audit", "select", "audio") if name in made}
    if Path(made.get("station", {}).get("path", "")).is_dir():
        parts["station"] = made["station"]
    return OmegaConf.merge(config, parts)


def open_other(path: str, job: Job) -> Desk:
    """The desk of another checkpoint, to compare with; it is read only.

    Raises:
        UserError: there is no checkpoint.
    """
    folder = Path(path).expanduser().absolute()
    if not (folder / "run.json").is_file():
        raise UserError("is no checkpoint", f"review.against={path}", "name the folder of another run")
    if folder == job.checkpoint.path:
        raise UserError("is the checkpoint itself", f"review.against={path}", "name the folder of another run")
    other = Job(OmegaConf.merge(OmegaConf.structured(Config), {"checkpoint": {"path": str(folder)}}), str(folder))
    other.config.station = job.config.station
    other.config = as_made(other.config, other.checkpoint.run_info.get("config"))
    return Desk.of(other)
