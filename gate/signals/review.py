"""What users were answered lately: the proxy's log, read backwards from its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from gate.signals.access_log import CLIENT_LEFT, MALFORMED, Line, parse
from gate.signals.tail import Follower

_AT_ONCE = 16 * 1024 * 1024  # bytes of the log and of the file rotated last: some 50,000 requests


@dataclass(frozen=True)
class Review:
    """Users' ``requests`` since ``since``, in seconds since the epoch, and how many of them were ``errors``: answers
    5xx and requests nobody answered. Clients that left are in neither. ``milliseconds``: how many took how long.

    ``fault``: why nothing can be known.
    """

    requests: int
    errors: int
    since: float
    milliseconds: Mapping[float, int]
    fault: str = ""


def review(
    file: Path, since: float, until: float, ignore: Collection[str] = (), *, serving: str | None = None
) -> Review:
    """Users' requests that ended from ``since`` to ``until`` (seconds since the epoch), as far as the log reaches back.

    ``ignore`` are paths that the gate asks for itself, where a log does not mark who asks. ``serving``: the instance
    whose answers count, with requests that nobody answered; what another release answered is not its doing.
    """
    follower = Follower(file, from_end=True)
    requests = errors = 0
    milliseconds: Counter[float] = Counter()
    oldest, whole = until, False
    try:
        if follower.fault is not None:
            return Review(0, 0, since, {}, f"{file}: {follower.fault}")
        for texts in follower.earlier(_AT_ONCE):
            for line in filter(None, map(_parsed, texts)):
                oldest, whole = min(oldest, line.ended), whole or line.ended < since
                if not since <= line.ended <= until or not _of_a_user(line, ignore):
                    continue
                if serving is not None and line.instance not in {serving, None}:
                    continue
                requests += 1
                errors += line.failed
                if line.milliseconds is not None:
                    milliseconds[line.milliseconds] += 1
            if whole:
                break
    finally:
        follower.close()
    return Review(requests, errors, since if whole else max(since, oldest), milliseconds)


def _parsed(text: str) -> Line | None:
    try:
        return parse(text)
    except MALFORMED:
        return None


def _of_a_user(line: Line, ignore: Collection[str]) -> bool:
    asked_by_the_gate = line.probe or (line.foreign and line.path in ignore)
    return not (asked_by_the_gate or line.cut_off or line.status == CLIENT_LEFT)
