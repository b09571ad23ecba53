"""The review server: the report page with decisions, a few JSON calls behind it, and the takes.

    GET  /                 the page
    GET  /takes/…          a take that a record names, nothing else
    GET  /api/marks        what marks each link
    POST /api/decide       {"link", "decision", "on", "reason" | "text" | "take"} → {"mark": …}
    GET  /api/pair         the next pair of a comparison   (see stages.review.compare)
    POST /api/prefer       {"pair", "prefers"} → the next pair
    GET  /api/score        how the comparison stands

All of it lies behind `stages.review.guard`.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson

from engine.errors import VoicetrackError
from stages.page import page_html
from stages.review.book import Book, Refused
from stages.review.compare import Comparison
from stages.review.guard import Guard
from stages.review.hosts import host_headers
from stages.summary import summary

SCRIPTS = ("server.js", "review.js")
COMPARING = "compare.js"  # where there is another checkpoint to compare with


def make_app(book: Book, token: str, host: str, port: int, password: str = "") -> Any:
    """The guarded ASGI application.

    Args:
        book: takes the decisions.
        token: first part of every path.
        host, port: where it listens.
        password: asked for, unless empty.
    """
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.exceptions import HTTPException
    from starlette.responses import FileResponse, HTMLResponse, JSONResponse
    from starlette.routing import Route

    desk = book.desk
    root = desk.job.checkpoint.path
    comparison = Comparison(book) if book.against else None
    page = _page(book, comparison)
    files = {output["file"] for output in _takes(book)}

    turn = asyncio.Lock()

    async def one_at_a_time(call: Any, *arguments: Any) -> Any:
        """Off the server's thread, because it waits for the disk; in turn, because shards are read by one at a time."""
        async with turn:
            return await run_in_threadpool(call, *arguments)

    async def show(request: Any) -> Any:
        return HTMLResponse(page)

    async def take(request: Any) -> Any:
        name = f"takes/{request.path_params['name']}"
        if name not in files or not (root / name).is_file():
            raise HTTPException(404)
        return FileResponse(root / name)

    async def marks(request: Any) -> Any:
        return JSONResponse(await one_at_a_time(book.marks))

    async def decide(request: Any) -> Any:
        asked = await _json(request)
        return JSONResponse({"mark": await one_at_a_time(book.decide, asked)})

    async def pair(request: Any) -> Any:
        return JSONResponse(comparison.next() if comparison else None)

    async def prefer(request: Any) -> Any:
        asked = await _json(request)
        await one_at_a_time(_compared(comparison).prefer, asked)
        return JSONResponse(comparison.next())

    async def score(request: Any) -> Any:
        return JSONResponse(_compared(comparison).score())

    async def side(request: Any) -> Any:
        path = _compared(comparison).file(request.path_params["name"])
        if path is None or not path.is_file():
            raise HTTPException(404)
        return FileResponse(path)

    async def refused(request: Any, error: Exception) -> Any:
        return JSONResponse({"problem": str(error)}, 422)

    async def broken(request: Any, error: Exception) -> Any:
        return JSONResponse({"problem": str(error)}, 500)

    app = Starlette(
        routes=[
            Route("/", show),
            Route("/takes/{name:path}", take),
            Route("/api/marks", marks),
            Route("/api/decide", decide, methods=["POST"]),
            Route("/api/pair", pair),
            Route("/api/prefer", prefer, methods=["POST"]),
            Route("/api/score", score),
            Route("/sides/{name}", side),
        ],
        exception_handlers={Refused: refused, VoicetrackError: broken},
    )
    return Guard(app, token, host_headers(host, port), password)


def _page(book: Book, comparison: Comparison | None) -> bytes:
    found = list(book.found.values())
    here = Path(__file__).parent
    scripts = [(here / name).read_text(encoding="utf-8") for name in (*SCRIPTS, *([COMPARING] if comparison else []))]
    extra = {"review": True, "compare": comparison is not None}
    figures = summary(book.desk, found)
    return page_html(book.desk, found, figures, takes="", scripts=scripts, connect="'self'", extra=extra)


def _takes(book: Book) -> list[dict[str, Any]]:
    return [r["output"] for r in book.desk.job.checkpoint.stage("audio").records() if "output" in r]


def _compared(comparison: Comparison | None) -> Comparison:
    if comparison is None:
        raise Refused("there is nothing to compare with; start with review.against=DIR")
    return comparison


async def _json(request: Any) -> dict[str, Any]:
    try:
        value = orjson.loads(await request.body())
    except ValueError as e:
        raise Refused("that was no JSON") from e
    if not isinstance(value, dict):
        raise Refused("that was no JSON object")
    return value
