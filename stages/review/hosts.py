"""Host headers a review server answers to."""

from __future__ import annotations

import ipaddress


def host_headers(host: str, port: int) -> set[str] | None:
    """The Host headers that name the server listening at `host` and `port`; None where any name may be right.

    A server on all addresses has names it cannot know; there the token and the password stand alone.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        names = {host, "localhost", "127.0.0.1"} if host == "localhost" else {host}
        return {f"{name}:{port}" for name in names} | ({*names} if port == 80 else set())
    if address.is_unspecified:
        return None
    names = {f"[{address}]" if address.version == 6 else str(address)}
    if address.is_loopback:
        names.add("localhost")
    return {f"{name}:{port}" for name in names} | ({*names} if port == 80 else set())
