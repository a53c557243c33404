"""From the time a clock on the wall shows to a moment, also on the two days a year on which clocks are changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_SECOND = timedelta(seconds=1)


def moment(local: datetime, zone: ZoneInfo) -> datetime:
    """The moment (UTC) at which clocks in ``zone`` first show ``local``, a time without a zone.

    A time that is skipped, as 02:30 on the night the clocks go forward, is the moment they are changed: whoever waits
    for it has waited long enough then. A time that comes twice is its first coming.
    """
    found = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if found.astimezone(zone).replace(tzinfo=None) == local:
        return found
    before = local.replace(tzinfo=zone, fold=1).astimezone(UTC)  # in a gap this one lies before the change
    early, late = min(before, found), max(before, found)
    offset = early.astimezone(zone).utcoffset()
    while late - early > _SECOND:
        middle = early + (late - early) / 2
        if middle.astimezone(zone).utcoffset() == offset:
            early = middle
        else:
            late = middle
    return (late + timedelta(milliseconds=500)).replace(microsecond=0)
