"""Who may talk to the review server, decided before anything else looks at a request.

The page's address begins with a random token, so nothing that a browser sends by itself (a cookie, a password it
remembers) is enough to reach anything. Besides: the Host header must be this server's own (no rebound DNS name), a
request that changes something must come from the page itself, and where others can reach the server a password is
asked for.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import Any

LARGEST_BODY = 64 * 1024
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "x-frame-options": "DENY",
    "content-security-policy": "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
}


class Guard:
    """ASGI middleware in front of the application.

    Args:
        app: what is guarded; it sees paths without the token.
        token: first part of every path.
        hosts: Host headers that are this server's; None for any, where it listens to several addresses.
        password: asked for with HTTP Basic authentication, any user name; empty for none.
    """

    def __init__(self, app: Any, token: str, hosts: set[str] | None, password: str = ""):
        self.app, self.token, self.hosts, self.password = app, token, hosts, password

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        if (problem := self._problem(scope)) is not None:
            await _answer(send, *problem)
            return
        path = scope["path"][len(self.token) + 1 :]
        inner = {**scope, "path": path, "raw_path": path.encode(), "root_path": ""}
        await self.app(inner, _limited(receive), _with_headers(send))

    def _problem(self, scope: dict[str, Any]) -> tuple[int, str] | None:
        """Status and message of a refusal; None to let the request through."""
        headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            key = name.decode("latin-1")
            if key in headers and key in ("host", "origin", "authorization"):
                return 400, "a header is there twice"
            headers[key] = value.decode("latin-1")
        host = headers.get("host", "")
        if self.hosts is not None and host not in self.hosts:
            return 421, "not the name of this server"
        first = scope["path"].split("/", 2)[1:2]
        # Compared as bytes: a path may hold any character.
        if not first or not hmac.compare_digest(first[0].encode(), self.token.encode()):
            return 404, "not found"
        if self.password and not self._knows_password(headers.get("authorization", "")):
            return 401, "the password, please"
        opened = scope["method"] == "GET" and headers.get("sec-fetch-mode") == "navigate"  # a link somebody followed
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none") and not opened:
            return 403, "not from another site"
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return 405, "no such method"
        if scope["method"] == "POST":
            if headers.get("origin") != f"http://{host}" and headers.get("origin") != f"https://{host}":
                return 403, "not from another origin"
            if headers.get("content-type", "").split(";")[0].strip() != "application/json":
                return 415, "JSON, please"
            size = headers.get("content-length", "")
            if not size.isdecimal() or int(size) > LARGEST_BODY:
                return 413, "too large, or its size is unknown"
        return None

    def _knows_password(self, authorization: str) -> bool:
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            _, _, password = base64.b64decode(given, validate=True).partition(b":")
        except (binascii.Error, ValueError):
            return False
        return hmac.compare_digest(password, self.password.encode())


async def _answer(send: Any, status: int, message: str) -> None:
    headers = {**HEADERS, "content-type": "text/plain; charset=utf-8"}
    if status == 401:
        headers["www-authenticate"] = 'Basic realm="voicetrack review", charset="UTF-8"'
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": message.encode()})


def _with_headers(send: Any) -> Any:
    async def sending(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            given = {name for name, _ in message["headers"]}
            more = [(n.encode(), v.encode()) for n, v in HEADERS.items() if n.encode() not in given]
            message = {**message, "headers": [*message["headers"], *more]}
        await send(message)

    return sending


def _limited(receive: Any) -> Any:
    """`receive`, cut off once more has come than a request may have, whatever it said before."""
    seen = 0

    async def receiving() -> dict[str, Any]:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        return {"type": "http.disconnect"} if seen > LARGEST_BODY else message

    return receiving
