"""Names for routes: few enough to compare releases by, whatever paths strangers ask for."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

OTHER = "other"
MOST = 200
"""Routes that get a name of their own."""

_LONGEST_PATH = 200
_LONGEST_READ = 4000
_REMEMBERED = 2048
_DEEPEST = 10
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_ID = re.compile(
    r"""
      \d[\d.,:_-]*                                        # 17, 2026-11-24, 10.0.0.1
    | [A-Za-z]{1,8}[-_]\d+                                # order-17
    | [0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}  # a UUID
    | (?=\D*\d)[0-9a-fA-F]{8,}                            # hexadecimal
    | (?=\D*\d)(?=[^a-zA-Z]*[a-zA-Z])[0-9A-Za-z]{16,}     # base 62
    | (?=\D*\d)(?=[^a-z]*[a-z])(?=[^A-Z]*[A-Z])[0-9A-Za-z_-]{16,}  # base 64 for URLs
    | .*\[redacted\].*                                    # a secret, taken out of the path
    | .*[%@].*                                            # names of people, mail addresses
    | .{41,}
    """,
    re.VERBOSE | re.DOTALL,
)


class Routes:
    """Names routes in the order they appear; the first ``MOST`` get one of their own.

    Only an answer that is no 4xx opens a route: paths that strangers try must not use the names up. ``redact`` takes
    secrets out of a path before it is cut into parts.
    """

    def __init__(self, redact: Callable[[str], str] = str) -> None:
        self._known: set[str] = set()
        self._redact = redact
        self._clean: dict[str, str] = {}

    def name(self, method: str, path: str, status: int) -> str:
        """``GET /api/sales/{id}``, or ``other``."""
        route = self._without_secrets(method, path)
        if route in self._known:
            return route
        if 400 <= status < 500 or len(self._known) >= MOST:
            return OTHER
        self._known.add(route)
        return route

    def _without_secrets(self, method: str, path: str) -> str:
        """The name of a path that secrets were taken out of. Paths are many, names few: each is looked at once."""
        name = _route(method, path[:_LONGEST_PATH])
        if name not in self._clean:
            if len(self._clean) >= _REMEMBERED:
                self._clean.clear()
            self._clean[name] = _route(method, self._redact(path[:_LONGEST_READ])[:_LONGEST_PATH])
        return self._clean[name]


@functools.lru_cache(maxsize=2048)
def _route(method: str, path: str) -> str:
    if not path.startswith("/"):  # an address for a forward proxy, or *
        return f"{method if method in _METHODS else OTHER} {{id}}"
    parts = path.split("/")[1:]
    named = [_part(part) for part in parts[:_DEEPEST]]
    if len(parts) > _DEEPEST:
        named.append("…")
    return f"{method if method in _METHODS else OTHER} /{'/'.join(named)}"


def _part(part: str) -> str:
    """One part of a path; of ``app.3f2a9c1b.js`` only what stands between the dots."""
    if _ID.fullmatch(part):
        return "{id}"
    if "." not in part:
        return part
    return ".".join("{id}" if _ID.fullmatch(piece) else piece for piece in part.split("."))
