"""Ways to a database that this machine cannot reach by itself, and a server beside it can.

A URL stays what the application uses. Whoever connects from here asks for the way first: libpq is then told another
address and port beside the server's name, so that TLS still knows whom it speaks to.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from gate.errors import DatabaseError, EngineError
from gate.redact import Secret

Way = Callable[[], int]
"""Opens a way unless it is open; the port of this machine's loopback that leads to the server. Raises EngineError."""

_HERE = "127.0.0.1"


class Led(Secret):
    """A URL and the way to its server. The way is the URL's own: two environments may call their servers alike."""

    __slots__ = ("way",)

    def __init__(self, value: str, way: Way) -> None:
        super().__init__(value)
        self.way = way


def like(url: Secret, value: str) -> Secret:
    """Another URL of the same server."""
    return Led(value, url.way) if isinstance(url, Led) else Secret(value)


def by_way(url: Secret, parts: dict[str, str], what: str) -> dict[str, str]:
    """The parts of a URL, by libpq's names, as they are to be connected to. Raises DatabaseError about ``what``."""
    if not isinstance(url, Led):
        return parts
    try:
        return parts | {"hostaddr": _HERE, "port": str(url.way())}
    except EngineError as fault:
        raise DatabaseError(f"{what} cannot be reached: {fault}", next_step=fault.next_step) from None


def url_by_way(url: Secret, what: str) -> Secret:
    """A URL that leads there from this machine, for what is given one as a whole. Raises DatabaseError."""
    if not isinstance(url, Led):
        return url
    reached, parts = by_way(url, {}, what), urlsplit(url.reveal())
    who, at, _ = parts.netloc.rpartition("@")
    query = "&".join([*filter(None, [parts.query]), f"hostaddr={_HERE}"])
    return Secret(parts._replace(netloc=f"{who}{at}{parts.hostname}:{reached['port']}", query=query).geturl())
